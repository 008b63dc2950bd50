"""The report of a run of any recipe: its routes and records are those that the manifest declares."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from oasis_ray.report import run_sections as of_runs
from oasis_ray.report.build import make
from oasis_ray.report.dataset import open_dataset, read
from oasis_ray.report.kinds import kinds_of
from oasis_ray.report.section import outcome_colours
from oasis_ray.report.statistics import DatasetStatistics, Languages, Passage
from oasis_ray.report.summary import summarise
from oasis_ray.report.totals import Spoken, Totals
from tests.support.checkout import ROOT
from tests.support.jobs import execute, rows
from tests.support.run_folders import RunFolder, accepted, caption, failed, rejected

NODES = [
    {"name": "hook", "stage": "hook", "pool": "vlm", "inputs": {"image": "source.image"}},
    {"name": "sort", "stage": "categorize", "pool": "llm", "inputs": {"text": "hook.text"},
     "with": {"prompt": "categorize"}, "exits": {"caption": "draft"}},
    {"name": "answer", "stage": "respond", "pool": "vlm",
     "inputs": {"image": "source.image", "instruction": "sort.instruction"}},
    {"name": "tidy", "stage": "clean", "route": "draft", "inputs": {"text": "hook.text"}},
]  # fmt: skip
RECORDS = {
    "accepted": {"data_source": "a", "instruction": "sort.instruction", "response": "answer.text"},
    "drafts": {"route": "draft", "data_source": "b", "instruction": "hook.text", "response": "tidy.text"},
}


@pytest.fixture
def drafted(tmp_path: Path, job_file: Callable[..., Path]) -> tuple[DatasetStatistics, str]:
    """The statistics and the page of a run whose recipe sends captions to the route `draft`, records `drafts`."""
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"name": "mine", "nodes": NODES, "records": RECORDS}))
    rows(tmp_path, "good", "good-2", "caption", "unreadable")
    execute(job_file(recipe=str(tmp_path / "mine.yaml")))
    folder, made = make([str(tmp_path / "run")], tokenizer=str(ROOT / "benchmarks/models/llm"))
    return made.subjects[0], (Path(folder) / "index.html").read_text(encoding="utf-8")


def parts(subject: DatasetStatistics) -> list[tuple[str, str, list[float]]]:
    """Name, colour and lengths of each part of the plot of a funnel."""
    section = of_runs.funnel([subject])
    assert section is not None
    return [(bar["name"], bar["marker"]["color"], list(bar["x"])) for bar in section.plots[0].figure["data"]]


def test_outcome_text_and_route_have_the_names_of_the_recipe(drafted: tuple[DatasetStatistics, str]) -> None:
    statistics, page = drafted
    assert statistics.outcomes == {"accepted": 2, "drafts": 1, "rejected": 0, "failed": 1}
    assert statistics.records == {"accepted": "main", "drafts": "draft"}
    assert [(one.text, one.rows) for one in statistics.lengths if one.unit == "tokens"] == [
        ("instruction", 2), ("response", 2), ("drafts", 1),
    ]  # fmt: skip
    assert {one.node: (one.rows, one.left) for one in statistics.funnel} == {
        "admit": (4, {}), "hook": (4, {}), "sort": (4, {"failed: no_kind": 1, "to route draft": 1}),
        "answer": (2, {}), "tidy": (1, {}),
    }  # fmt: skip
    assert parts(statistics) == [
        ("continue", "#0072B2", [4, 4, 2, 2, 1]), ("to route draft", "#56B4E9", [0, 0, 1, 0, 0]),
        ("rejected", "#E69F00", [0, 0, 0, 0, 0]), ("failed", "#D55E00", [0, 0, 1, 0, 0]),
    ]  # fmt: skip
    assert '<div style="--outcome: #3a9bd6"><dt>drafts</dt><dd>1</dd>' in page


def subject(outcomes: list[str], **keys: Any) -> DatasetStatistics:
    """Statistics of a run with these outcomes and no rows."""
    none = Languages(sampled={}, found=[])
    return DatasetStatistics(
        name="run", kind="run", rows=0, outcomes=dict.fromkeys(outcomes, 0), languages=none, **keys
    )


def test_a_route_has_the_colour_of_its_record_and_others_come_after_them() -> None:
    left = {"to route retry": 2, "to route note": 3, "rejected: a: b": 1, "rejected: c": 1}
    run = subject(
        ["accepted", "drafts", "notes", "rejected", "failed"],
        records={"accepted": "main", "drafts": "draft", "notes": "note"},
        funnel=[Passage(node="sort", rows=9, through=2, left=left)],
    )
    assert parts(run) == [
        ("continue", "#0072B2", [2]), ("to route draft", "#56B4E9", [0]), ("to route note", "#CC79A7", [3]),
        ("to route retry", "#999999", [2]), ("rejected", "#E69F00", [2]), ("failed", "#D55E00", [0]),
    ]  # fmt: skip


def test_records_of_several_data_sets_have_one_order_and_a_colour_each() -> None:
    one, other = ["accepted", "failed"], ["accepted", "drafts", "rejected", "failed"]
    colours = outcome_colours([subject(one), subject(other), subject(["accepted", "notes", "drafts"])])
    assert {outcome: colour.plot for outcome, colour in colours.items()} == {
        "accepted": "#009E73", "drafts": "#56B4E9", "notes": "#CC79A7", "rejected": "#E69F00", "failed": "#D55E00",
    }  # fmt: skip
    assert list(colours) == ["accepted", "drafts", "notes", "rejected", "failed"]


@pytest.mark.parametrize(
    ("outcomes", "kinds"),
    [
        (("accepted", "failed"), ("instruction", "response")),
        (("accepted", "b", "a", "rejected", "failed"), ("instruction", "response", "b", "a")),
        (("accepted", "response", "image"), ("instruction", "response", "response: response", "image: response")),
    ],
)
def test_no_two_kinds_of_text_have_one_name(outcomes: tuple[str, ...], kinds: tuple[str, ...]) -> None:
    assert kinds_of(outcomes) == kinds


def test_a_run_that_an_older_version_began_has_one_funnel_of_its_parts_with_and_without_moves(
    tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    run = RunFolder(tmp_path / "run", job_file())
    ended = [accepted("a"), caption("c"), rejected("r", "caption_language"), rejected("s"), failed("f")]
    run.part("old", *ended, drop=("moves",))
    moved = caption("new")
    moved.moves = [{"node": "categorize", "route": "caption", "reason": "caption", "detail": "Kind: caption"}]
    run.part("new", moved)
    dataset, totals = open_dataset(str(run.path)), Totals(10)
    totals.add([row for piece in dataset.pieces for some in read(piece) for row in some])
    statistics = summarise(dataset, totals, Spoken(), None, [])
    assert {one.node: (one.rows, one.left) for one in statistics.funnel if one.left} == {
        "admit": (6, {"failed: image_broken": 1}), "categorize": (5, {"to route caption": 3}),
        "clarity": (2, {"rejected: score_1": 1}), "caption_language": (3, {"rejected: score_1": 1}),
    }  # fmt: skip
