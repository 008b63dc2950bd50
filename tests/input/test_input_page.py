"""The examples of docs/input.md: what is written there goes in, and what is written there comes out."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from oasis_ray.input.ingest import ingest
from tests.support.checkout import ROOT
from tests.support.command import call
from tests.support.shards import picture

PAGE = (ROOT / "docs/input.md").read_text(encoding="utf-8")
LISTS = PAGE[PAGE.index("## Lists of records") :]
FORMS = re.findall(r"^\| ([\w (),-]+) \| `(\{.+\})` \| (`.+`) \|$", LISTS, re.MULTILINE)
GIVEN, SAID, ROWS = re.findall(r"^```\w+\n(.+?)^```$", LISTS, re.MULTILINE | re.DOTALL)


def rows(out: Path) -> list[dict[str, Any]]:
    """The rows of the shards, with the bytes of an image as the page shows them."""
    found = pq.read_table(out / "shard-00000.parquet").to_pylist()
    for row in found:
        if row.get("image"):
            assert row["image"]["bytes"] == picture()
            row["image"]["bytes"] = "…"
    return found


@pytest.mark.parametrize(("record", "columns"), [(record, columns) for _, record, columns in FORMS])
@pytest.mark.parametrize("name", ["list.jsonl", "list.json"])
def test_a_list_of_each_form_has_the_columns_that_the_page_names(
    name: str, record: str, columns: str, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(picture())
    (tmp_path / name).write_text(record if name == "list.jsonl" else f"[{record}]", encoding="utf-8")
    made = ingest(tmp_path / name, tmp_path / "shards")
    (row,) = rows(tmp_path / "shards")
    assert (list(row), made.names, made.notes) == (columns.replace("`", "").split(", "), (), ())
    for turns in (row.get("conversations"), row.get("messages")):
        assert turns in (None, [{"from": "human", "value": "What is it?"}, {"from": "gpt", "value": "A cat."}])


def test_the_page_shows_all_forms() -> None:
    assert [form for form, _, _ in FORMS] == [
        "LLaVA", "ShareGPT (LLaMA-Factory)", "OpenAI", "flat records", "records without images",
    ]  # fmt: skip


def test_the_example_gives_the_output_and_the_rows_that_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco/cat.png").write_bytes(picture())
    (tmp_path / "list.json").write_text(GIVEN, encoding="utf-8")
    command, *said = SAID.splitlines()
    done = call(*command.removeprefix("$ oasis-ray ").split(), cwd=tmp_path)
    assert [*done.stderr.splitlines(), *done.stdout.splitlines()] == said
    shown = [json.loads(line) for line in ROWS.splitlines()]
    found = rows(tmp_path / "shards")
    assert found == shown
    assert [list(row) for row in found] == [list(row) for row in shown]


def test_the_help_names_what_is_read() -> None:
    words = " ".join(call("ingest", "--help").stdout.replace("│", " ").split())
    assert "list of records: .jsonl (one JSON object per line) or .json (one JSON list of objects)" in words
    assert "the file whose path is in the key image, images, image_path, img_path or file_path" in words
