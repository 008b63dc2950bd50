"""A model made slower that says the very same: more layers, which add nothing to what flows through them.

The demo's pair is so small that Python is the load, not the engine. Each further layer is a copy of one of its own
whose two output projections are zero, so the residual stream passes it unchanged, and is computed all the same.
Verdicts, answers and so the accepted set stay those of the trained pair.
"""

import json
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

LAYER = re.compile(r"^(model\.layers|visual\.blocks)\.(\d+)\.(.+)$")
ENDS = ("self_attn.o_proj", "mlp.down_proj", "attn.proj", "mlp.fc2")


def deepen(source: Path, out: Path, layers: int, blocks: int = 0) -> int:
    """Write the model `source` to `out` with more layers, and more blocks in its tower; its number of parameters."""
    shutil.copytree(source, out, dirs_exist_ok=True)
    weights = load_file(source / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    text = config.get("text_config", config)
    more = {"model.layers": (text["num_hidden_layers"], layers)}
    if "vision_config" in config:
        more["visual.blocks"] = (config["vision_config"]["depth"], blocks)
        config["vision_config"]["depth"] += blocks
    text["num_hidden_layers"] += layers
    text["layer_types"] = ["full_attention"] * text["num_hidden_layers"]
    for name in list(weights):
        found = LAYER.match(name)
        if found is None:
            continue
        stack, number, rest = found[1], int(found[2]), found[3]
        had, added = more[stack]
        for place in range(had, had + added):
            if place % had == number:
                silent = rest.startswith(ENDS)
                weights[f"{stack}.{place}.{rest}"] = (torch.zeros_like if silent else torch.clone)(weights[name])
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(config, indent=2))
    return sum(weight.numel() for weight in weights.values())
