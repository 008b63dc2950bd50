"""Probabilities of nodes without a score are shown, filtered and compared as scores are."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from oasis_ray.cli import app
from oasis_ray.explore.comparison import Comparison, Shift
from oasis_ray.explore.query import Filter, Rows
from tests.support.jobs import write_job
from tests.support.run_folders import RunFolder

NAN, INF = float("nan"), float("inf")
CHOICE = pa.struct({"choice": pa.string(), "reply": pa.string(), "probability": pa.float64()})
# weighed and each (for each element of a list): with `at_least`; plain: without; both: a score counts, if there is one
NODES = pa.struct({
    "clarity": pa.struct({"score": pa.int64()}), "weighed": CHOICE, "plain": CHOICE, "each": pa.list_(CHOICE),
    "both": pa.struct({"score": pa.float64(), "probability": pa.float64()}),
    "word": pa.struct({"score": pa.string(), "probability": pa.float32()}),
    "label": pa.struct({"probability": pa.string()}),
})  # fmt: skip
WEIGHED: dict[str, float | None] = {"a": 0.8125, "b": 0.7, "c": 1.0, "d": None, "e": NAN, "f": INF, "g": 0.0, "h": 1e-9}


def out(probability: float | None) -> dict[str, Any]:
    return {"choice": "Yes", "reply": "Yes", "probability": probability}


def write(folder: Path, name: str, weighed: dict[str, float | None], outcome: str = "accepted") -> str:
    run = RunFolder(folder / name, write_job(folder))
    (run.path / outcome).mkdir()
    nodes = [
        {"clarity": {"score": 4}, "weighed": out(number), "plain": out(None), "each": [out(0.25), None, out(1.0)],
         "both": {"score": 2.5, "probability": 0.5}, "word": {"score": "good", "probability": 0.5},
         "label": {"probability": "high"}}
        for number in weighed.values()
    ]  # fmt: skip
    table = pa.table({"id": list(weighed), "instruction": ["?"] * len(weighed), "nodes": pa.array(nodes, NODES)})
    pq.write_table(table, run.path / f"{outcome}/part-0.parquet")
    return str(run.path)


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    return Rows(write(tmp_path, "run", WEIGHED), "ada")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"axis": "weighed"}, "abcgh"),
        ({"axis": "weighed", "least": "0.7"}, "abc"),
        ({"axis": "weighed", "least": "0.71"}, "ac"),
        ({"axis": "weighed", "most": "0.7"}, "bgh"),
        ({"axis": "weighed", "least": "0", "most": "0"}, "g"),
        ({"axis": "weighed", "least": "1"}, "c"),
        ({"axis": "word", "least": "0.5", "most": "0.5"}, "abcdefgh"),
        ({"axis": "both", "least": "2"}, "abcdefgh"),
        ({"axis": "both", "most": "1"}, ""),
        ({"axis": "plain"}, ""),
        ({"axis": "each"}, ""),
        ({"axis": "label"}, ""),
    ],
)
def test_rows_are_found_by_probabilities(rows: Rows, wanted: dict[str, Any], expected: str) -> None:
    assert "".join(row["id"] for row in rows.page(Filter(**wanted))["rows"]) == expected


def test_probabilities_are_axes_and_those_that_are_no_number_are_left_out(rows: Rows) -> None:
    assert rows.overview()["axes"] == [
        {"axis": "both", "least": 2.5, "most": 2.5},
        {"axis": "clarity", "least": 4, "most": 4},
        {"axis": "weighed", "least": 0, "most": 1},
        {"axis": "word", "least": 0.5, "most": 0.5},
    ]
    common = {"clarity": 4, "both": 2.5, "word": 0.5}
    assert {name: rows.row(name)["scores"] for name in WEIGHED} == {
        name: common | ({} if number is None or name in "ef" else {"weighed": number})
        for name, number in WEIGHED.items()
    }


def test_probabilities_of_elements_are_in_the_row_that_the_page_shows(rows: Rows) -> None:
    assert [one and one["probability"] for one in rows.row("a")["nodes"]["each"]] == [0.25, None, 1.0]


def test_probabilities_of_two_runs_are_compared(tmp_path: Path) -> None:
    before = write(tmp_path, "before", {"x": 0.75, "y": 0.5, "z": None, "n": NAN})
    after = write(tmp_path, "after", {"x": 0.875, "y": 0.25, "z": 0.5, "n": 0.5}, "rejected")
    assert [shift for shift in Comparison(before, after).shifts() if shift.axis in ("weighed", "plain", "each")] == [
        Shift("weighed", 2, 0.625, 0.5625, 1, 1)
    ]
    done = CliRunner().invoke(app, ["diff", before, after, "--json", str(tmp_path / "rows.json")])
    assert done.exit_code == 0, done.output
    lines = [" ".join(line.replace("│", " ").split()) for line in done.output.splitlines()]
    assert {"weighed 2 0.6250 0.5625 -0.0625 1 1", "clarity 4 4.00 4.00 +0.00 0 0"} <= {*lines}
    written = {row["id"]: row for row in json.loads((tmp_path / "rows.json").read_text())}
    common = {"clarity": 4, "both": 2.5, "word": 0.5}
    assert {name: (row["before"]["scores"], row["after"]["scores"]) for name, row in written.items()} == {
        "x": (common | {"weighed": 0.75}, common | {"weighed": 0.875}),
        "y": (common | {"weighed": 0.5}, common | {"weighed": 0.25}),
        "z": (common, common | {"weighed": 0.5}),
        "n": (common, common | {"weighed": 0.5}),
    }
