"""Scores may be integers on any scale, or numbers: rows are found by them, shown with them and compared by them."""

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
from oasis_ray.output.manifest import read_manifest, write_manifest
from oasis_ray.output.scales import scales_of
from tests.support.jobs import write_job
from tests.support.run_folders import RunFolder

NAN, INF = float("nan"), float("inf")
# gain: numbers, also in a part where all happen to be whole; match: integers from 1 to 10; big: at the limits
SCORES: dict[str, tuple[float | None, int | None]] = {
    "a": (0.5, 10), "b": (-0.25, 7), "c": (1.0, 1), "d": (None, None), "e": (NAN, 3), "f": (INF, 5), "g": (-INF, 5),
    "h": (1e-9, 2**53), "i": (0.1 + 0.2, -(2**53)),
}  # fmt: skip
OUT = pa.struct({"score": pa.float64(), "reply": pa.string()})
NODES = pa.struct({"gain": OUT, "match": pa.struct({"score": pa.int64()}), "word": pa.struct({"score": pa.string()})})


def part(scores: dict[str, tuple[float | None, int | None]]) -> pa.Table:
    nodes = [
        {"gain": None if gain is None else {"score": gain, "reply": "r"},
         "match": None if match is None else {"score": match}, "word": {"score": "good"}}
        for gain, match in scores.values()
    ]  # fmt: skip
    return pa.table({"id": list(scores), "instruction": ["?"] * len(scores), "nodes": pa.array(nodes, NODES)})


def write(folder: Path, name: str, *parts: pa.Table) -> str:
    run = RunFolder(folder / name, write_job(folder))
    (run.path / "accepted").mkdir()
    for at, table in enumerate(parts):
        pq.write_table(table, run.path / f"accepted/part-{at}.parquet")
    return str(run.path)


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    first = {name: SCORES[name] for name in "abc"}
    return Rows(write(tmp_path, "run", part(first), part({n: SCORES[n] for n in SCORES if n not in first})), "ada")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"axis": "gain"}, "abchi"),
        ({"axis": "gain", "least": "0.5"}, "ac"),
        ({"axis": "gain", "least": "0.50001"}, "c"),
        ({"axis": "gain", "most": "0.5"}, "abhi"),
        ({"axis": "gain", "most": "-0.25"}, "b"),
        ({"axis": "gain", "least": "0", "most": "0.3"}, "h"),
        ({"axis": "gain", "least": "1e-9", "most": "1e-9"}, "h"),
        ({"axis": "gain", "least": "1", "most": "1"}, "c"),
        ({"axis": "match"}, "abcefghi"),
        ({"axis": "match", "least": "7"}, "abh"),
        ({"axis": "match", "least": "6.5", "most": "7.5"}, "b"),
        ({"axis": "match", "least": str(2**53)}, "h"),
        ({"axis": "word"}, ""),
    ],
)
def test_rows_are_found_by_scores_with_and_without_decimals(rows: Rows, wanted: dict[str, Any], expected: str) -> None:
    assert "".join(row["id"] for row in rows.page(Filter(**wanted))["rows"]) == expected


@pytest.mark.parametrize("bound", ["nan", "inf", "-Infinity", "a", "1,5", ""])
def test_a_bound_that_is_no_number_is_refused(bound: str) -> None:
    with pytest.raises(ValueError, match="least"):
        Filter.model_validate({"axis": "gain", "least": bound})


def test_scores_without_decimals_are_integers_and_what_is_no_number_is_null(rows: Rows) -> None:
    found = {name: rows.row(name)["scores"] for name in SCORES}
    expected = {name: {"gain": gain, "match": match} for name, (gain, match) in SCORES.items()}
    for name in "efg":
        expected[name]["gain"] = None
    assert found == expected
    assert {type(one["match"]) for one in found.values()} == {int, type(None)}
    assert [repr(found[name]["gain"]) for name in "abchi"] == ["0.5", "-0.25", "1", "1e-09", "0.30000000000000004"]
    assert repr(rows.overview()["axes"]) == repr([
        {"axis": "gain", "least": -0.25, "most": 1},
        {"axis": "match", "least": -(2**53), "most": 2**53},
    ])  # fmt: skip


@pytest.fixture
def runs(tmp_path: Path) -> tuple[str, str]:
    """Two runs with the same rows, of which all gains and most matches differ."""
    before = {"x": (0.25, 4), "y": (0.5, 10), "z": (None, 3), "n": (NAN, 5)}
    after = {"x": (0.375, 4), "y": (0.25, 9), "z": (0.5, 3), "n": (0.5, 6)}
    return write(tmp_path, "before", part(before)), write(tmp_path, "after", part(after))


def test_scores_of_both_kinds_are_compared(runs: tuple[str, str]) -> None:
    assert Comparison(*runs).shifts() == [
        Shift("gain", 2, 0.375, 0.3125, 1, 1), Shift("match", 4, 5.5, 5.5, 1, 1)
    ]  # fmt: skip


def test_integers_of_one_run_are_compared_with_numbers_of_the_other(tmp_path: Path) -> None:
    tables = [
        pa.table({"id": ["x"], "nodes": pa.array([{"gain": {"score": score}}], pa.struct({"gain": kind}))})
        for score, kind in ((5, pa.struct({"score": pa.int64()})), (4.5, pa.struct({"score": pa.float32()})))
    ]  # fmt: skip
    runs = [write(tmp_path, name, table) for name, table in zip(("one", "other"), tables, strict=True)]
    assert Comparison(*runs).shifts() == [Shift("gain", 1, 5.0, 4.5, 0, 1)]


def test_the_command_prints_small_means_with_more_digits_and_writes_integers_as_such(
    runs: tuple[str, str], tmp_path: Path
) -> None:
    (Path(runs[1]) / "accepted").rename(Path(runs[1]) / "rejected")
    file = tmp_path / "rows.json"
    done = CliRunner().invoke(app, ["diff", *runs, "--json", str(file)])
    assert done.exit_code == 0, done.output
    lines = [" ".join(line.replace("│", " ").split()) for line in done.output.splitlines()]
    assert {"gain 2 0.3750 0.3125 -0.0625 1 1", "match 4 5.50 5.50 +0.00 1 1"} <= {*lines}
    written = {row["id"]: (row["before"]["scores"], row["after"]["scores"]) for row in json.loads(file.read_text())}
    assert repr(written) == repr({
        "n": ({"gain": None, "match": 5}, {"gain": 0.5, "match": 6}),
        "x": ({"gain": 0.25, "match": 4}, {"gain": 0.375, "match": 4}),
        "y": ({"gain": 0.5, "match": 10}, {"gain": 0.25, "match": 9}),
        "z": ({"gain": None, "match": 3}, {"gain": 0.5, "match": 3}),
    })  # fmt: skip


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"name": "n", "with": {"scale": [1, 10]}}, {"n": (1, 10)}),
        ({"name": "n", "with": {"scale": [0, 1]}}, {"n": (0, 1)}),
        ({"name": "n", "with": {"accept": [5]}}, {}),
        ({"name": "n", "with": {}}, {}),
        ({"name": "n"}, {}),
        ({"name": "n", "with": {"scale": "large"}}, {}),
        ({"name": "n", "with": {"scale": [1]}}, {}),
        ({"name": "n", "with": {"scale": [1.5, 2]}}, {}),
        ({"name": "n", "with": {"scale": None}}, {}),
    ],
)
def test_the_scale_of_a_node_is_that_of_the_manifest(node: dict[str, Any], expected: dict[str, Any]) -> None:
    assert scales_of({"nodes": [node]}) == expected


def test_the_page_is_given_the_scales_of_the_nodes(rows: Rows) -> None:
    from fastapi.testclient import TestClient

    from oasis_ray.explore.server import application

    manifest = read_manifest(str(rows.folder))
    manifest["nodes"].append({"name": "match", "with": {"scale": [1, 10]}})
    write_manifest(str(rows.folder), manifest)
    browsing = TestClient(
        application(rows, "t", 1), base_url="http://127.0.0.1:1", headers={"Cookie": "oasis_browse_1=t"}
    )
    assert browsing.get("/api/run").json()["scales"]["match"] == [1, 10]
    assert browsing.get("/api/row", params={"id": "a"}).json()["scores"] == {"gain": 0.5, "match": 10}
