"""Load an export with `datasets`, and print what came as one line of JSON: `load_with_datasets.py FOLDER`."""

import json
import sys

import datasets
from picture import printed

samples = [
    {
        "system": None,
        "messages": [{"role": turn["from"], "content": turn["value"]} for turn in row["conversations"]],
        "images": [printed(row["image"].convert("RGB"))] if row["image"] else [],
    }
    for row in datasets.load_dataset(sys.argv[1], split="train")
]
print(json.dumps(samples))
