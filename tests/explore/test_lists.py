"""A run whose nodes work on the elements of lists is browsed, traced, reported and exported."""

import json
from pathlib import Path

import pytest

from oasis_ray.explore.query import Filter, Rows
from oasis_ray.explore.trace import waited
from oasis_ray.output.audit import audit
from oasis_ray.output.ledger import counts_of
from oasis_ray.output.manifest import read_manifest
from tests.support.command import call_here
from tests.support.recipe_records import run_recipe

ELEMENTS = {
    ("kind", "", ""): 10,
    ("questions", "", ""): 7,
    ("questions", "rejected", "branch_caption"): 3,
    ("distinct", "", ""): 5,
    ("distinct", "rejected", "near_duplicate"): 2,
    ("nonsense", "", ""): 5,
    ("hallucination", "", ""): 3,
    ("hallucination", "rejected", "score_1"): 2,
    ("solvability", "", ""): 3,
    ("clarity", "", ""): 2,
    ("clarity", "rejected", "score_2"): 1,
    ("gate", "", ""): 2,
    ("respond", "", ""): 2,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_recipe(tmp_path_factory.mktemp("lists"), "oasis_n")


def test_the_manifest_and_the_parts_agree_on_the_elements(run: Path) -> None:
    assert counts_of(str(run)).elements == ELEMENTS
    stated = read_manifest(str(run))["elements"]
    assert {(one["node"], one["outcome"], one["reason"]): one["elements"] for one in stated} == ELEMENTS
    assert audit(str(run)).faults == []


def test_a_row_is_listed_with_its_first_text_and_found_by_that_of_an_element(run: Path) -> None:
    rows = Rows(str(run), "me")
    said = {row["id"]: row["said"] for row in rows.page(Filter())["rows"]}
    assert said == {
        "good": "How many white dots are there?",
        "captions": "A teal square.",
        "mute": None,
        "poor": "Which animal is to the right?",
    }

    def found(text: str) -> list[str]:
        return sorted(row["id"] for row in rows.page(Filter(text=text))["rows"])

    assert found("There is no animal") == ["good", "poor"]  # the judge of a dropped element
    assert found("Three white dots in a row") == ["captions"]  # in a list of texts
    assert [entry["node"] for entry in rows.row("good")["elements"] if entry["dropped"]] == [
        "questions",
        "distinct",
        "hallucination",
    ]


def test_the_report_and_the_trace_count_elements(run: Path, tmp_path: Path) -> None:
    assert {node.node: node.requests for node in waited(str(run))}["kind"] == 10
    assert call_here("report", run, "--out", tmp_path / "report").returncode == 0
    (subject,) = json.loads((tmp_path / "report/statistics.json").read_text())["subjects"]
    passages = {one["node"]: (one["rows"], one["elements"], one["dropped"]) for one in subject["funnel"]}
    assert passages["distinct"] == (2, 7, {"rejected: near_duplicate": 2})
    assert passages["conversation"] == (1, 0, {})


def test_an_export_has_a_record_for_each_question_with_its_own_values(run: Path, tmp_path: Path) -> None:
    done = call_here("export", run, "--out", tmp_path / "out", "--format", "llava", "--pairs")
    assert done.returncode == 0, done.stderr
    records = json.loads((tmp_path / "out/train.json").read_text())
    assert sorted((record["id"], record["conversations"][0]["value"]) for record in records) == [
        ("good/0", "<image>\nHow many white dots are there?"),
        ("good/1", "<image>\nDescribe the colours and the places of all things in the picture."),
    ]
