"""Load a data set as ms-swift does, and print what came as one line of JSON: `load_with_swift.py DATA_SET MODEL`."""

import json
import sys
from typing import Any

from picture import printed
from swift.dataset import load_dataset
from swift.model import get_processor
from swift.template import StdTemplateInputs, get_template, load_image

data_set, model = sys.argv[1:]
template = get_template(get_processor(model, model_type="qwen2_vl"), template_type="qwen2_vl")
template.set_mode("train")


def sample(row: dict[str, Any]) -> dict[str, Any]:
    """What a template gets of a row, the images that it opens, and the words that a model is trained to say."""
    given = StdTemplateInputs.from_dict(row)
    images = [
        load_image(image if isinstance(image, str) else image["bytes"] or image["path"]) for image in given.images
    ]
    labels = [label for label in template.encode(row)["labels"] if label != -100]
    return {
        "system": given.system,
        "messages": given.messages,
        "images": [printed(image) for image in images],
        "trained": template.tokenizer.decode(labels),
    }


rows, _ = load_dataset(data_set, strict=True)
print(json.dumps([sample(row) for row in rows]))
