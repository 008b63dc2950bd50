"""The page on writing a recipe: its files, taken from the page, run as it says, and give what it shows."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.jobs import rows_of
from tests.support.shards import picture

PAGE = (ROOT / "docs/own-recipe.md").read_text(encoding="utf-8")
FILES = re.findall(r"`([\w./]+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(picture())
    return tmp_path


def test_the_page_has_all_files() -> None:
    assert [name for name, _ in FILES] == [
        "harder.yaml", "prompts/level.txt", "prompts/rewrite.txt", "job.yaml", "replies.py", "questions.jsonl",
    ]  # fmt: skip


def test_the_commands_of_the_page_run_and_give_what_it_shows(folder: Path) -> None:
    program = f"{sys.executable} -m oasis_ray.cli"
    for command in COMMANDS:
        path = ":".join([str(folder), str(ROOT)]) if command.startswith("PYTHONPATH=.") else str(ROOT)
        words = command.removeprefix("PYTHONPATH=. ").replace("oasis-ray", program)
        done = subprocess.run(
            words, shell=True, cwd=folder, env=os.environ | {"PYTHONPATH": path, "COLUMNS": "100"},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    shown = next(text for text in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) if "funnel" in text)
    printed = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for line in shown.splitlines():
        if not line.startswith("━"):  # as wide as the terminal
            assert " ".join(line.split()) in printed
    row = next(row for row in rows_of(folder / "run", "accepted") if row["id"] == "a")
    (record,) = [text for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if "conversations" in text]
    assert {key: row[key] for key in json.loads(record)} == json.loads(record)
