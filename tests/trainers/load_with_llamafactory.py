"""Load a data set as LLaMA-Factory does, and print what came as one line of JSON.

`load_with_llamafactory.py DATASET_DIR DATASET MODEL OUTPUT_DIR`
"""

import json
import sys
from typing import Any

from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.data.loader import _get_merged_dataset
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer
from picture import printed

folder, name, model, output = sys.argv[1:]
model_args, data_args, training_args, _, _ = get_train_args(
    {
        "stage": "sft", "do_train": True, "model_name_or_path": model, "template": "qwen2_vl", "dataset_dir": folder,
        "dataset": name, "output_dir": output, "use_cpu": True, "report_to": "none",
    }
)  # fmt: skip
reader = load_tokenizer(model_args)
template = get_template_and_fix_tokenizer(reader["tokenizer"], data_args)


def sample(converted: dict[str, Any], prepared: dict[str, Any]) -> dict[str, Any]:
    """A row as it was converted, the images that are opened, and the words that a model is trained to say."""
    no_scaling = {"image_max_pixels": 10**9, "image_min_pixels": 0}
    images = template.mm_plugin._regularize_images(converted["_images"] or [], **no_scaling)["images"]
    return {
        "system": converted["_system"] or None,
        "messages": converted["_prompt"] + converted["_response"],
        "images": [printed(image) for image in images],
        "trained": reader["tokenizer"].decode([label for label in prepared["labels"] if label != -100]),
    }


converted = _get_merged_dataset(data_args.dataset, model_args, data_args, training_args, "sft")
prepared = get_dataset(template, model_args, data_args, training_args, stage="sft", **reader)["train_dataset"]
print(json.dumps([sample(*rows) for rows in zip(converted, prepared, strict=True)]))
