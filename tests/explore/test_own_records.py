"""Runs of a recipe with records and routes of its own: they are browsed, compared and traced as its manifest says."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.errors import JobError
from oasis_ray.explore.comparison import Comparison, Move, Place
from oasis_ray.explore.query import Filter, Rows
from oasis_ray.explore.trace import waited, write_trace
from oasis_ray.output.manifest import read_manifest, write_manifest
from oasis_ray.stage import Divert, ModelStage, Reply, Request, RowStage
from oasis_ray.types import Call
from tests.support.checkout import ROOT
from tests.support.command import call_here

HERE = "tests.explore.test_own_records"
RECIPE = f"""
name: letters
nodes:
  - name: sort
    stage: {HERE}:Sort
    pool: llm
    inputs: {{text: source.said}}
    exits: {{poem: verse, torn: damaged}}
  - {{name: mend, stage: "{HERE}:Copy", route: damaged, to: main, inputs: {{text: source.said}}}}
  - {{name: print, stage: "{HERE}:Copy", inputs: {{text: [sort.text, mend.text]}}}}
  - {{name: recite, stage: "{HERE}:Copy", route: verse, inputs: {{text: source.said}}}}
records:
  accepted: {{data_source: letters, instruction: print.text, response: print.text}}
  verses: {{route: verse, data_source: verse, instruction: recite.text, response: recite.text}}
"""
TEXTS = {"couplet": "two\nlines", "plain": "one line", "torn": "one li…", "triplet": "of\nthree\nlines"}
OUTCOMES = ("accepted", "verses", "rejected", "failed")
OLD = ROOT / "tests/fixtures/run_of_version_1/run"


@dataclass(frozen=True, slots=True)
class Text:
    """A text."""

    text: str


class Sort(ModelStage[Text, Text]):
    """Diverts poems, which have so many lines, and torn texts."""

    lines: int = 2

    @property
    def exits(self) -> tuple[str, ...]:
        return ("poem", "torn")

    def requests(self, row: Text) -> list[Request]:
        return [Request(row.text)]

    def parse(self, row: Text, replies: list[Reply]) -> Text | Divert:
        lines = len(row.text.splitlines())
        if lines >= self.lines:
            return Divert("poem", f"lines_{lines}", replies[0].text)
        return Divert("torn", "no_end") if row.text.endswith("…") else Text(row.text)


class Copy(RowStage[Text, Text]):
    """Keeps the text."""

    def apply(self, row: Text) -> Text:
        return row


def read(call: Call) -> Reply:
    """The model says what it has read."""
    return Reply.of(f"I read: {call.request.text}")


Make = Callable[..., str]


@pytest.fixture
def job(tmp_path: Path, job_file: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a job over the four texts, with a recipe and an output of this name."""
    (tmp_path / "shards").mkdir()
    pq.write_table(pa.table({"id": list(TEXTS), "said": list(TEXTS.values())}), tmp_path / "shards/a.parquet")

    def write(name: str, recipe: str = RECIPE, **keys: Any) -> Path:
        (tmp_path / f"{name}.yaml").write_text(recipe)
        given = {"path": str(tmp_path / "shards"), "id": "id", "image": None, "columns": ["said"]}
        pool = {"backend": "scripted", "model": "script", "script": f"{HERE}:read"}
        output = {"path": str(tmp_path / name)}
        return job_file(recipe=str(tmp_path / f"{name}.yaml"), input=given, output=output, pools={"llm": pool}, **keys)

    return write


@pytest.fixture
def run(tmp_path: Path, job: Callable[..., Path]) -> Make:
    """Runs such a job; the run folder."""

    def make(name: str, recipe: str = RECIPE, **keys: Any) -> str:
        done = call_here("run", job(name, recipe, **keys))
        assert (done.returncode, done.stderr) == (0, "")
        return str(tmp_path / name)

    return make


def ids(rows: Rows, **wanted: Any) -> list[str]:
    return [row["id"] for row in rows.page(Filter(**wanted))["rows"]]


def test_rows_are_browsed_by_the_outcomes_that_the_recipe_names(run: Make) -> None:
    rows = Rows(run("run"), "ada")
    overview = rows.overview()
    assert (overview["outcomes"], overview["places"]) == (
        OUTCOMES,
        [{"outcome": outcome, "node": None, "reason": None, "rows": 2} for outcome in OUTCOMES[:2]],
    )
    assert ids(rows) == ["plain", "torn", "couplet", "triplet"]  # by outcome, in the order of the recipe
    assert ids(rows, outcome="verses") == ["couplet", "triplet"]
    assert ids(rows, after_outcome="accepted", after_id="torn") == ["couplet", "triplet"]
    assert ids(rows, text="i read: OF") == ["triplet"]


def test_a_row_has_its_moves(run: Make) -> None:
    rows = Rows(run("run"), "ada")
    assert {name: (rows.row(name)["outcome"], rows.row(name)["moves"]) for name in TEXTS} == {
        "couplet": (
            "verses",
            [{"node": "sort", "route": "verse", "reason": "lines_2", "detail": "I read: two\nlines"}],
        ),
        "plain": ("accepted", []),
        "torn": (
            "accepted",
            [
                {"node": "sort", "route": "damaged", "reason": "no_end", "detail": ""},
                {"node": "mend", "route": "main", "reason": "", "detail": ""},  # the node's `to`
            ],
        ),
        "triplet": (
            "verses",
            [{"node": "sort", "route": "verse", "reason": "lines_3", "detail": "I read: of\nthree\nlines"}],
        ),
    }


def test_a_page_that_is_open_learns_the_records_of_a_run_that_is_resumed(run: Make) -> None:
    folder = run("run")
    rows = Rows(folder, "ada")
    rows.mark("plain", "good")
    manifest = read_manifest(folder)
    records = {**manifest["records"], "songs": {"route": "song", "data_source": "song"}}
    write_manifest(folder, {**manifest, "records": records})
    (Path(folder) / "songs").mkdir()
    pq.write_table(pa.table({"id": ["aria"]}), f"{folder}/songs/part-0.parquet")
    overview = rows.overview()
    assert overview["outcomes"] == ("accepted", "verses", "songs", "rejected", "failed")
    assert overview["marks"] == [{"who": "ada", "mark": "good", "rows": 1}]
    assert ids(rows) == ["plain", "torn", "couplet", "triplet", "aria"]


@pytest.mark.parametrize("name", ["", "../run", "/etc", "a'); DROP TABLE ends; --", "verses\n", "<b>"])
def test_a_record_that_no_recipe_can_name_is_refused(name: str, run: Make) -> None:
    folder = run("run")
    manifest = read_manifest(folder)
    write_manifest(folder, {**manifest, "records": {**manifest["records"], name: {"route": "r", "data_source": "x"}}})
    for read_run in (lambda: Rows(folder, "ada"), lambda: Comparison(folder, folder)):
        with pytest.raises(JobError) as error:
            read_run()
        assert error.value.problems == (f"run.json declares a record {name!r}; use lower-case letters, digits and _",)


def test_two_runs_are_compared_by_their_own_outcomes(run: Make) -> None:
    compared = Comparison(run("before"), run("after", nodes={"sort": {"with": {"lines": 3}}}))
    assert compared.possible_outcomes == OUTCOMES
    assert compared.outcomes() == {
        ("accepted", "accepted"): 2, ("verses", "accepted"): 1, ("verses", "verses"): 1
    }  # fmt: skip
    assert compared.moves() == [Move(Place("verses"), Place("accepted"), 1)]
    assert [example.id for example in compared.examples(9)] == ["couplet"]


def table(lines: Sequence[str], start: str) -> list[list[str]]:
    """The cells of a printed table whose first line starts like this."""
    at = next(place for place, line in enumerate(lines) if line.startswith(start))
    rows = [line.replace("┃", "│") for line in lines[at:] if "━" not in line]
    end = next((place for place, line in enumerate(rows) if "│" not in line), len(rows))
    return [[cell.strip() for cell in row.split("│")] for row in rows[:end]]


def test_a_comparison_shows_the_outcomes_of_both_runs(run: Make) -> None:
    done = call_here("diff", run("before"), run("after", RECIPE.replace("verses", "poems")))
    assert (done.returncode, done.stderr) == (0, "")
    assert table(done.stdout.splitlines(), "before ↓") == [
        ["before ↓   after →", "accepted", "verses", "poems", "rejected", "failed"],
        ["accepted", "2", "", "", "", ""],
        ["verses", "", "", "2", "", ""],
        ["poems", "", "", "", "", ""],
        ["rejected", "", "", "", "", ""],
        ["failed", "", "", "", "", ""],
    ]
    assert "2 rows (50.0%) changed their outcome; 0 more ended" in done.stdout


def test_a_trace_has_the_rows_of_all_records(run: Make, tmp_path: Path) -> None:
    folder = run("run")
    assert [(one.node, one.requests) for one in waited(folder)] == [("sort", 4)]
    assert write_trace(folder, str(tmp_path / "trace.json"), 10) == 4
    events = json.loads((tmp_path / "trace.json").read_text())
    assert {event["name"]: event["args"]["outcome"] for event in events if "outcome" in event["args"]} == {
        "couplet": "verses", "plain": "accepted", "torn": "accepted", "triplet": "verses"
    }  # fmt: skip


def test_commands_count_the_rows_of_each_record(job: Callable[..., Path], tmp_path: Path) -> None:
    done = call_here("run", job("run"))
    assert "4 of 4 rows ended: 2 accepted, 2 verses, 0 rejected, 0 failed" in done.stdout
    status = call_here("status", tmp_path / "run").stdout.splitlines()
    assert status[1] == "4 of 4 rows are in part files: 2 accepted, 2 verses, 0 rejected, 0 failed"
    assert table(status, "node ") == [
        ["node", "rows in", "diverted", "why"],
        ["admit", "4", "", ""],
        ["sort", "4", "3", "to route damaged 1, to route verse 2"],
        ["mend", "1", "", ""],
        ["print", "2", "", ""],
        ["recite", "2", "", ""],
    ]
    (audit, _) = call_here("audit", tmp_path / "run").stdout.splitlines()
    assert audit.startswith("4 input rows = 2 accepted + 2 verses + 0 rejected + 0 failed ")


def test_a_plan_shows_where_rows_change_their_route(job: Callable[..., Path]) -> None:
    planned = call_here("plan", job("run")).stdout.splitlines()
    assert table(planned, "node ") == [
        ["node", "stage", "pool", "route", "inputs"],
        ["sort", "Sort", "llm", "main", "source.said"],
        ["", "", "", "exit poem -> verse", ""],
        ["", "", "", "exit torn -> damaged", ""],
        ["mend", "Copy", "-", "damaged -> main", "source.said"],
        ["print", "Copy", "-", "main", "sort.text or mend.text"],
        ["recite", "Copy", "-", "verse", "source.said"],
    ]


def test_a_run_of_a_version_that_declared_no_records_is_explored_too(tmp_path: Path) -> None:
    rows = Rows(str(OLD), "ada")
    overview = rows.overview()
    counts = dict.fromkeys(overview["outcomes"], 0)
    for place in overview["places"]:
        counts[place["outcome"]] += place["rows"]
    assert list(counts.items()) == list(read_manifest(str(OLD))["rows"].items())
    assert {name: ids(rows, outcome=name) == [] for name, count in counts.items()} == dict.fromkeys(counts, False)
    compared = Comparison(str(OLD), str(OLD))
    assert compared.outcomes() == {(name, name): count for name, count in counts.items()}
    assert write_trace(str(OLD), str(tmp_path / "trace.json"), 99) == 12  # one row ended before its first request
