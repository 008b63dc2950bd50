"""Read tars with `webdataset`, and print what came as one line of JSON: `load_with_webdataset.py SHARDS`."""

import json
import sys

import numpy as np
import PIL.Image
import webdataset
from picture import printed

samples = [
    {
        "system": None,
        "messages": [{"role": turn["from"], "content": turn["value"]} for turn in sample["json"]["conversations"]],
        "images": [printed(PIL.Image.fromarray(value)) for value in sample.values() if isinstance(value, np.ndarray)],
    }
    for sample in webdataset.WebDataset(sys.argv[1], shardshuffle=False).decode("rgb8")
]
print(json.dumps(samples))
