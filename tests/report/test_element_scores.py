"""Scores of elements of lists in a report: each counts as one, and is paired with those of the same element."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.output.manifest import read_manifest
from oasis_ray.output.schema import MOVE, STEP
from oasis_ray.report.build import make
from oasis_ray.report.score_sections import scores
from oasis_ray.report.score_statistics import Axis, Correlation, Measure, NumberBin
from oasis_ray.report.statistics import DatasetStatistics, Languages
from tests.support.list_runs import list_run
from tests.support.run_folders import RunFolder
from tests.support.run_statistics import counted

WHOLE = pa.struct({"score": pa.int64()})
NODES = pa.struct({
    "clarity": WHOLE, "first": pa.list_(WHOLE), "second": pa.list_(WHOLE), "elsewhere": pa.list_(WHOLE),
    "sure": pa.list_(pa.struct({"choice": pa.string(), "probability": pa.float64()})),
})  # fmt: skip


def whole(*numbers: int | None) -> list[dict[str, int] | None]:
    return [None if number is None else {"score": number} for number in numbers]


def write(path: Path, *rows: dict[str, Any]) -> None:
    """A part of accepted rows with these outputs of nodes."""
    path.parent.mkdir(exist_ok=True)
    count, every = len(rows), [dict.fromkeys(NODES.names) | row for row in rows]
    table = pa.table({
        "id": [f"{path.stem}-{at}" for at in range(count)], "nodes": pa.array(every, NODES),
        "instruction": ["words"] * count, "response": ["words"] * count,
        "source": [{"file": "a", "row_group": 0, "row": 0}] * count,
        "lineage": pa.array([[]] * count, pa.list_(STEP)), "moves": pa.array([[]] * count, pa.list_(MOVE)),
    })  # fmt: skip
    pq.write_table(table, path)


@pytest.fixture
def run(tmp_path: Path, job_file: Callable[..., Path]) -> RunFolder:
    """A run whose judges `first`, `second` and `sure` score the elements of one list, `elsewhere` those of another."""
    made = RunFolder(tmp_path / "run", job_file())
    write(made.path / "accepted/part-x.parquet",
        {"clarity": {"score": 3}, "first": whole(1, 2, 4), "second": whole(None, 2, 4), "elsewhere": whole(5, 1, 1),
         "sure": [{"choice": "Yes", "probability": 0.75}, None, {"choice": "No", "probability": 0.25}]},
        {"clarity": {"score": 3}, "first": whole(3), "second": whole(3)},
    )  # fmt: skip
    write(made.path / "accepted/part-y.parquet",
        {"first": whole(5, None), "second": whole(None, 5), "sure": [{"choice": "Yes", "probability": None}, None]},
    )  # fmt: skip
    nodes = read_manifest(str(made.path))["nodes"]
    lists = {"first": "ask.texts", "second": "first.reply", "sure": "ask.texts", "elsewhere": "source.hints"}
    made.manifest(nodes=[
        *nodes, *({**nodes[0], "name": name, "for_each": {"text": of}} for name, of in lists.items())
    ])  # fmt: skip
    return made


def test_each_element_counts_as_one_and_is_paired_only_with_itself(run: RunFolder) -> None:
    statistics = counted(run.path)
    assert statistics.scores == [
        Axis(axis="clarity", counts={3: 2}, mean=3.0),
        Axis(axis="first", counts={1: 1, 2: 1, 3: 1, 4: 1, 5: 1}, mean=3.0, elements=True),
        Axis(axis="second", counts={2: 1, 3: 1, 4: 1, 5: 1}, mean=3.5, elements=True),
        Axis(axis="elsewhere", counts={1: 2, 5: 1}, mean=7 / 3, elements=True),
    ]
    bins = [NumberBin(low=n / 20, high=(n + 1) / 20, rows=n in (5, 15)) for n in range(20)]
    assert statistics.measures == [
        Measure(axis="sure", rows=2, mean=0.5, least=0.25, most=0.75, histogram=bins, elements=True,
                percentiles={point: 0.25 if point <= 50 else 0.75 for point in (1, 5, 25, 50, 75, 95, 99)},
                at_least={n / 10: ((n <= 2) + (n <= 7)) / 2 for n in range(1, 10)})
    ]  # fmt: skip
    assert statistics.correlations == [Correlation(one="first", other="second", rows=3, pearson=1.0, elements=True)]


def test_judges_that_changed_during_the_run_are_counted_but_not_paired(run: RunFolder) -> None:
    manifest = read_manifest(str(run.path))
    changed = {"until": "", "changes": [], "nodes": [{"name": "second", "digest": "other"}], "records": {}}
    run.manifest(nodes=manifest["nodes"], earlier=[changed])
    statistics = counted(run.path)
    assert [(axis.axis, axis.mean) for axis in statistics.scores] == [
        ("clarity", 3.0), ("first", 3.0), ("second", 3.5), ("elsewhere", 7 / 3),
    ]  # fmt: skip
    assert statistics.correlations == []


def test_a_run_of_oasis_n_has_the_scores_of_its_judges_and_the_page_says_what_they_are(tmp_path: Path) -> None:
    list_run(tmp_path)
    folder, statistics = make([str(tmp_path / "run")])
    (subject,) = statistics.subjects
    axes = {
        "nonsense": {5: 5}, "hallucination": {1: 2, 5: 3}, "solvability": {5: 3}, "clarity": {2: 1, 5: 2},
    }  # fmt: skip
    assert subject.scores == [
        Axis(axis=axis, counts=counts, mean=sum(n * rows for n, rows in counts.items()) / sum(counts.values()),
             elements=True)
        for axis, counts in axes.items()
    ]  # fmt: skip
    assert [(one.one, one.other, one.rows) for one in subject.correlations] == [
        ("clarity", "hallucination", 3), ("clarity", "nonsense", 3), ("clarity", "solvability", 3),
        ("hallucination", "nonsense", 5), ("hallucination", "solvability", 3), ("nonsense", "solvability", 3),
    ]  # fmt: skip
    page = (Path(folder) / "index.html").read_text(encoding="utf-8")
    assert "The scores of elements are counted one by one" in page


def subject(name: str, **keys: Any) -> DatasetStatistics:
    none = Languages(sampled={}, found=[])
    return DatasetStatistics(name=name, kind="run", rows=9, outcomes={}, languages=none, **keys)


def test_tables_and_plots_say_whether_they_count_rows_or_elements() -> None:
    points = dict.fromkeys((1, 5, 25, 50, 75, 95, 99), 0.5)
    sure = {"rows": 1, "mean": 0.5, "least": 0.5, "most": 0.5, "percentiles": points,
            "histogram": [NumberBin(low=0.5, high=0.55, rows=1)], "at_least": {0.1: 1.0}}  # fmt: skip
    row, each = Axis(axis="a", counts={1: 2}, mean=1.0), Axis(axis="b", counts={5: 4}, mean=5.0, elements=True)
    section = scores([
        subject("one", scores=[row, each], measures=[Measure(axis="m", **sure, elements=True)],
                correlations=[Correlation(one="b", other="c", rows=4, pearson=None, elements=True)]),
    ])  # fmt: skip
    assert section is not None
    (shares, sures) = section.plots
    assert (shares.figure["layout"]["xaxis"]["title"]["text"], list(shares.figure["data"][0]["y"])) == (
        "% of the rows or elements that reached the judge", ["a", "b (elements)"],
    )  # fmt: skip
    assert (sures.label, sures.figure["layout"]["yaxis"]["title"]["text"]) == (
        "Numbers of m (elements)", "% of the elements that reached the judge",
    )  # fmt: skip
    assert [(table.title, table.head[:4], [tuple(cells[:4]) for cells in table.rows]) for table in section.tables] == [
        ("Scores from 1 to 5 by axis", ("run", "axis", "rows or elements", "mean"),
         [("one", "a", "2", "1.00"), ("one", "b (elements)", "4", "5.00")]),
        ("Scores with decimals and probabilities, and their percentiles", ("run", "axis", "elements", "mean"),
         [("one", "m (elements)", "1", "0.5")]),
        ("Share of elements that a threshold would keep (`at_least`)", ("run", "axis", "0.1", "0.2"),
         [("one", "m (elements)", "100.0%")]),
        ("Correlation of two axes (Pearson; – if one of them is constant)",
         ("run", "axis", "other axis", "elements scored on both"), [("one", "b (elements)", "c (elements)", "4")]),
    ]  # fmt: skip
