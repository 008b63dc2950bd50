"""ms-swift loads exports: the turns and the pixels of every row, and three steps of training."""

import json
import math
from pathlib import Path

import pytest

from tests.support.trainers import MODEL, ROWS, call, expected, exported, load

FILES = {"swift": "train.jsonl", "openai": "train.jsonl", "sharegpt": "train.jsonl", "llava": "train.json", "hf": ""}
OPENING = {"swift": "<image>", "openai": "<image>", "sharegpt": "<image>\n", "llava": "<image>\n", "hf": "<image>\n"}


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("form", FILES)
def test_ms_swift_loads_every_row_as_it_was_said_and_seen(form: str, pairs: bool, tmp_path: Path) -> None:
    folder = exported(tmp_path, form, pairs=pairs)
    data_set = FILES[form] or folder
    loaded = load("swift", "load_with_swift.py", data_set, MODEL, home=tmp_path, cwd=folder)
    assert loaded == expected(OPENING[form], after="<|im_end|>\n", pairs=pairs)


@pytest.mark.parametrize("form", ["swift", "openai", "hf"])
def test_ms_swift_trains_three_steps(form: str, tmp_path: Path) -> None:
    folder, output = exported(tmp_path, form), tmp_path / "out"
    options = {
        "model": MODEL, "model_type": "qwen2_vl", "template": "qwen2_vl", "dataset": FILES[form] or folder,
        "strict": "true",
        "tuner_type": "full", "torch_dtype": "float32", "max_steps": 3, "logging_steps": 1,
        "per_device_train_batch_size": 3, "gradient_accumulation_steps": ROWS // 3,  # all rows a step
        "output_dir": output, "add_version": "false", "save_strategy": "no", "report_to": "none",
        "check_model": "false",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    done = call("swift", "-m", "swift.cli.main", "sft", *words, home=tmp_path, cwd=folder)
    assert done.returncode == 0, done.stderr[-5000:]
    logged = [json.loads(line) for line in (output / "logging.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = {line["global_step/max_steps"]: line["loss"] for line in logged if "loss" in line}
    assert list(losses) == ["1/3", "2/3", "3/3"]
    assert all(math.isfinite(loss) and loss > 0 for loss in losses.values())
