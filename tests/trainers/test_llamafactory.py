"""LLaMA-Factory loads exports, with the `dataset_info.json` that is written, or that docs/export.md tells to write."""

import json
import math
import re
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.trainers import MODEL, ROWS, call, expected, exported, load

SCRIPT = "load_with_llamafactory.py"


def test_llama_factory_loads_every_row_as_it_was_said_and_seen(tmp_path: Path) -> None:
    folder = exported(tmp_path, "sharegpt")
    loaded = load("llamafactory", SCRIPT, folder, "oasis_train", MODEL, tmp_path / "out", home=tmp_path, cwd=tmp_path)
    assert loaded == expected("<image>\n", after="<|im_end|>\n")


def test_llama_factory_loads_each_question_with_its_answer(tmp_path: Path) -> None:
    folder = exported(tmp_path, "sharegpt", pairs=True)
    loaded = load("llamafactory", SCRIPT, folder, "oasis_train", MODEL, tmp_path / "out", home=tmp_path, cwd=tmp_path)
    assert loaded == expected("<image>\n", after="<|im_end|>\n", pairs=True)


def test_llama_factory_trains_three_steps(tmp_path: Path) -> None:
    folder, output = exported(tmp_path, "sharegpt"), tmp_path / "out"
    options = {
        "stage": "sft", "do_train": "true", "model_name_or_path": MODEL, "template": "qwen2_vl", "dataset_dir": folder,
        "dataset": "oasis_train", "finetuning_type": "full", "use_cpu": "true", "max_steps": 3, "logging_steps": 1,
        "per_device_train_batch_size": 3, "gradient_accumulation_steps": ROWS // 3,  # all rows a step
        "output_dir": output, "save_strategy": "no", "report_to": "none",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    done = call("llamafactory", "-m", "llamafactory.cli", "train", *words, home=tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-5000:]
    logged = [json.loads(line) for line in (output / "trainer_log.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = {line["current_steps"]: line["loss"] for line in logged if "loss" in line}
    assert list(losses) == [1, 2, 3]
    assert all(math.isfinite(loss) and loss > 0 for loss in losses.values())


def test_llama_factory_loads_an_export_for_ms_swift_with_what_the_page_says(tmp_path: Path) -> None:
    folder = exported(tmp_path, "swift")
    page = (ROOT / "docs/export.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (folder / "dataset_info.json").write_text(told, encoding="utf-8")
    loaded = load("llamafactory", SCRIPT, folder, "oasis_train", MODEL, tmp_path / "out", home=tmp_path, cwd=tmp_path)
    assert loaded == expected("<image>", after="<|im_end|>\n")


@pytest.mark.parametrize(
    ("talks", "error"),
    [(False, "RuntimeError: Expected a string, got [{'type': 'image_url'"),
     (True, "datasets.exceptions.DatasetGenerationError")],
)  # fmt: skip
def test_llama_factory_refuses_parts_of_messages_rather_than_train_without_images(
    talks: bool, error: str, tmp_path: Path
) -> None:
    folder = exported(tmp_path, "openai", talks=talks)
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
            "system_tag": "system"}  # fmt: skip
    told = {"file_name": "train.jsonl", "formatting": "openai", "columns": {"messages": "messages"}, "tags": tags}
    (folder / "dataset_info.json").write_text(json.dumps({"oasis_train": told}), encoding="utf-8")
    script = ROOT / "tests/trainers" / SCRIPT
    done = call("llamafactory", script, folder, "oasis_train", MODEL, tmp_path / "out", home=tmp_path, cwd=tmp_path)
    assert done.returncode != 0
    assert error in done.stderr
