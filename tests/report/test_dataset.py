"""Data sets that a report accepts, and how their rows are read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.errors import JobError
from oasis_ray.output.node_scores import Scores
from oasis_ray.report.build import make
from oasis_ray.report.dataset import ReportRow, exchanges_of, open_dataset, read
from tests.support.run_folders import RunFolder, accepted, caption, failed, rejected
from tests.support.talks import talk, turns, view, write_talks

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
OPENAI: dict[str, Any] = {"messages": [
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
    assert found[0].scores == (Scores({"nonsense": 5, "hallucination": 5, "solvability": 5, "clarity": 5}, {}),)
    assert found[2].scores == (Scores({"caption_language": 5, "caption_information": 5, "caption_coherence": 5}, {}),)
    assert (found[3].node, found[3].reason, found[3].scores) == ("clarity", "score_1", (Scores({"clarity": 1}, {}),))
    assert (found[4].node, found[4].reason) == ("admit", "image_broken")


def test_a_reply_that_was_cut_off_is_known(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    run = RunFolder(tmp_path / "run", job_file())
    row = accepted("a")
    row.lineage = [{**row.lineage[0], "finish": "length"}, row.lineage[1]]
    run.part("x", row)
    assert [row.cut for row in rows(tmp_path / "run")] == [("hook",)]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.parquet"])
def test_an_item_is_a_row_with_each_question_and_its_answer(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith("json"):
        path.write_text(json.dumps([LLAVA]))
    elif name.endswith("jsonl"):
        path.write_text(json.dumps(LLAVA) + "\n")
    else:
        pq.write_table(pa.Table.from_pylist([LLAVA]), path)
    exchanges = [("What is it?", "A square."), ("Which colour?", "Red.")]
    assert [(row.id, row.outcome, row.exchanges, row.place) for row in rows(path)] == [
        ("a", "accepted", exchanges, (str(path), 0))
    ]


ODD = [
    {"from": "gpt", "value": "Nobody asked."}, {"from": "human", "value": "Well?"}, {"from": "human", "value": "One?"},
    {"from": "system", "value": "Be short."}, {"from": "gpt", "value": "1"}, {"from": "gpt", "value": "2"},
    {"from": "human", "value": "Two?"}, {"from": "gpt", "value": "3"}, {"from": "human", "value": "Three?"},
]  # fmt: skip


def test_a_question_belongs_to_the_next_answer_and_other_turns_are_passed_over() -> None:
    assert exchanges_of(ODD) == [("One?", "1"), ("Two?", "3")]


def test_the_turns_of_a_run_are_read_where_a_record_is_a_conversation(tmp_path: Path) -> None:
    said = turns("Q0 <image>", "A0", "Q1", "A1", system="Be short.")
    run = write_talks(tmp_path / "runs", [talk("t", said, b"x"), talk("u", turns("Q", "A")), view("v", "Look?", "So.")])
    groups = open_dataset(str(run)).pieces
    assert [(group.outcome, group.several) for group in groups] == [("accepted", True), ("views", False)]
    found = {row.id: (row.instruction, row.response, row.further) for row in rows(run)}
    assert found == {
        "t": ("Q0 <image>", "A0", (("Q1", "A1"),)), "u": ("Q", "A", ()), "v": ("Look?", "So.", ())
    }  # fmt: skip


LONE = [
    {"id": "text", "conversations": [{"from": "human", "value": "x\ud800A"}, {"from": "gpt", "value": "A"}]},
    {"id": "second", "messages": [*OPENAI["messages"], {"role": "user", "content": "A"},
                                  {"role": "assistant", "content": "\udfff"}]},
    {"id": "i\ud800d", **{key: LLAVA[key] for key in ("conversations",)}},
    {"id": "origin", "data_source": "\ud800", "conversations": LLAVA["conversations"]},
    {"id": "pair", "conversations": [{"from": "human", "value": "\U0001f600"}, {"from": "gpt", "value": "A"}]},
]  # fmt: skip


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "lines.json"])
def test_a_record_with_a_lone_surrogate_has_no_text_as_for_ingest(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(json.dumps(LONE) if name == "a.json" else "".join(json.dumps(item) + "\n" for item in LONE))
    assert [(row.id, row.outcome, row.reason, row.origin, row.exchanges) for row in rows(path)] == [
        *((id_, "failed", "lone_surrogate", None, [("", "")]) for id_ in ("text", "second", "i\\ud800d", "origin")),
        ("pair", "accepted", None, None, [("\U0001f600", "A")]),
    ]
    statistics = make([str(path)], str(tmp_path / "out"))[1].subjects[0]
    assert statistics.outcomes == {"accepted": 1, "failed": 4}
    assert statistics.notes[1:] == [
        "records with a lone surrogate in a text, which `oasis-ray ingest` passes over too: 4"
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
