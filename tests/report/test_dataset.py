"""Data sets that a report accepts, and how their rows are read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.errors import JobError
from oasis_ray.report.dataset import ReportRow, open_dataset, read
from tests.support.run_folders import RunFolder, accepted, caption, failed, rejected

LLAVA = {
    "id": "a",
    "image": "a.jpg",
    "conversations": [
        {"from": "human", "value": "<image>\nWhat is it?"},
        {"from": "gpt", "value": "A square."},
        {"from": "human", "value": "Which colour?"},
        {"from": "gpt", "value": "Red."},
    ],
}
OPENAI = {"messages": [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "What?"}]},
    {"role": "assistant", "content": "A square."},
]}  # fmt: skip


def rows(path: Path) -> list[ReportRow]:
    return [row for piece in open_dataset(str(path)).pieces for some in read(piece) for row in some]


def test_a_run_is_read_outcome_by_outcome(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    run = RunFolder(tmp_path / "run", job_file())
    ids = ["a1", "a2", "c", "r", "f"]
    run.part("x", accepted("a1", origin="web"), accepted("a2"), caption("c"), rejected("r"), failed("f"))
    found = rows(tmp_path / "run")
    assert [(row.id, row.outcome, row.origin, row.place[1]) for row in found] == [
        ("a1", "accepted", "web", 0), ("a2", "accepted", None, 1), ("c", "captions", None, 0),
        ("r", "rejected", None, 0), ("f", "failed", None, 0),
    ]  # fmt: skip
    assert [row.id for row in found] == ids
    assert (found[0].instruction, found[0].response) == ("What is it?", "A square.")
    assert found[0].scores == {"nonsense": 5, "hallucination": 5, "solvability": 5, "clarity": 5}
    assert found[2].scores == {"caption_language": 5, "caption_information": 5, "caption_coherence": 5}
    assert (found[3].node, found[3].reason, found[3].scores) == ("clarity", "score_1", {"clarity": 1})
    assert (found[4].node, found[4].reason) == ("admit", "image_broken")


def test_a_reply_that_was_cut_off_is_known(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    run = RunFolder(tmp_path / "run", job_file())
    row = accepted("a")
    row.lineage = [{**row.lineage[0], "finish": "length"}, row.lineage[1]]
    run.part("x", row)
    assert [row.cut for row in rows(tmp_path / "run")] == [("hook",)]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.parquet"])
def test_each_question_and_its_answer_is_a_row(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith("json"):
        path.write_text(json.dumps([LLAVA]))
    elif name.endswith("jsonl"):
        path.write_text(json.dumps(LLAVA) + "\n")
    else:
        pq.write_table(pa.Table.from_pylist([LLAVA]), path)
    assert [(row.id, row.outcome, row.instruction, row.response, row.place) for row in rows(path)] == [
        ("a", "accepted", "What is it?", "A square.", (str(path), 0)),
        ("a#2", "accepted", "Which colour?", "Red.", (str(path), 0)),
    ]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (OPENAI, [("a.json:0", "accepted", "What?", "A square.")]),
        ({"id": 7}, [("7", "failed", None, None)]),
        ({"id": "x", "conversations": "no list"}, [("x", "failed", None, None)]),
        ({"id": "x", "conversations": [{"from": "gpt", "value": "Nobody asked."}]}, [("x", "failed", None, None)]),
        ({"id": "x", "conversations": ["?", {"from": "human"}, {"from": "gpt", "value": None}]},
         [("x", "accepted", "", "")]),
        ("no object", [("a.json:0", "failed", None, None)]),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_counted_as_failed(item: Any, expected: list[Any], tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([item]))
    found = rows(tmp_path / "a.json")
    assert [(row.id, row.outcome, row.instruction, row.response) for row in found] == expected
    assert {row.reason for row in found if row.outcome == "failed"} <= {"no_pair_of_turns"}


def test_what_is_not_a_data_set_is_reported(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="there is no run"):
        open_dataset(str(tmp_path))
    (tmp_path / "a.json").write_text('[{"id": 1}')
    with pytest.raises(JobError, match="can't be read as JSON"):
        rows(tmp_path / "a.json")
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "b.parquet")
    with pytest.raises(JobError, match="no column `conversations` or `messages`; it has: text"):
        rows(tmp_path / "b.parquet")
