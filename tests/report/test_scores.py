"""Scores in a report: integers on the scale of their judge, and numbers by their mean and percentiles."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from oasis_ray.content.stages import score

from oasis_ray.output.manifest import read_manifest
from oasis_ray.output.schema import MOVE, STEP
from oasis_ray.recipe.row import Row
from oasis_ray.report.build import make
from oasis_ray.report.dataset import open_dataset, read
from oasis_ray.report.gallery import gallery
from oasis_ray.report.score_sections import bands, scores
from oasis_ray.report.score_statistics import Axis, Correlation, Measure, NumberBin
from oasis_ray.report.section import Table
from oasis_ray.report.statistics import DatasetStatistics, Languages
from oasis_ray.report.totals import Totals
from tests.support.run_folders import RunFolder, accepted
from tests.support.run_statistics import counted

NAN = float("nan")
NUMBER, WHOLE = pa.struct({"score": pa.float64(), "reply": pa.string()}), pa.struct({"score": pa.int64()})
NODES = pa.struct({
    "gain": NUMBER, "clarity": WHOLE, "share": WHOLE, "lost": NUMBER, "word": pa.struct({"score": pa.string()}),
    "many": pa.struct({"score": pa.list_(pa.int64())}), "wordless": pa.struct({"reply": pa.string()}),
    "sure": pa.struct({"choice": pa.string(), "probability": pa.float64()}),
    "certain": pa.struct({"choice": pa.string(), "probability": pa.int64()}),
})  # fmt: skip
POINTS = (1, 5, 25, 50, 75, 95, 99)
SOURCE = {"file": "a", "row_group": 0, "row": 0}


def twentieths(**rows: int) -> list[NumberBin]:
    """The bins of numbers within 0 to 1, of which bin n has the rows `in_n`."""
    return [NumberBin(low=n / 20, high=(n + 1) / 20, rows=rows.get(f"in_{n}", 0)) for n in range(20)]


def given(node: str, value: Any) -> dict[str, Any]:
    return {name: {"score": value} if name == node else None for name in NODES.names}


def write(path: Path, *rows: dict[str, Any]) -> None:
    """A part of rows with these outputs of nodes."""
    path.parent.mkdir(exist_ok=True)
    count, every = len(rows), [dict.fromkeys(NODES.names) | row for row in rows]
    ending = ("node", "reason") if path.parent.name == "rejected" else ("instruction", "response")
    table = pa.table({
        "id": [f"{path.parent.name}-{at}" for at in range(count)], "nodes": pa.array(every, NODES),
        **{name: ["words"] * count for name in ending}, "source": [SOURCE] * count,
        "lineage": pa.array([[]] * count, pa.list_(STEP)), "moves": pa.array([[]] * count, pa.list_(MOVE)),
    })  # fmt: skip
    pq.write_table(table, path)


@pytest.fixture
def run(tmp_path: Path, job_file: Callable[..., Path]) -> Path:
    made = RunFolder(tmp_path / "run", job_file())
    made.part("x", accepted("a", scores={"clarity": 3}), accepted("b"))
    write(made.path / "accepted/part-y.parquet",
          {"gain": {"score": 0.5}, "clarity": {"score": 4}, "word": {"score": "5"}, "many": {"score": [5, 5]}},
          {"gain": {"score": NAN}, "share": {"score": 70}, "lost": {"score": NAN}, "wordless": {"reply": "r"}},
    )  # fmt: skip
    write(made.path / "rejected/part-y.parquet", {"gain": {"score": -0.25}, "share": {"score": 7}})
    nodes = read_manifest(str(made.path))["nodes"]
    made.manifest(
        nodes=[*nodes, {**nodes[0], "name": "share", "with": {"scale": [0, 100]}}, {**nodes[0], "name": "gain"}]
    )
    return made.path


def test_integers_are_counted_on_their_scales_and_numbers_apart(run: Path) -> None:
    statistics = counted(run)
    others = [
        Axis(axis=axis, counts={5: 2}, mean=5.0, low=1, high=5) for axis in ("nonsense", "hallucination", "solvability")
    ]
    assert statistics.scores == [
        *others, Axis(axis="clarity", counts={3: 1, 4: 1, 5: 1}, mean=4.0, low=1, high=5),
        Axis(axis="share", counts={7: 1, 70: 1}, mean=38.5, low=0, high=100),
    ]  # fmt: skip
    assert statistics.measures == [
        Measure(axis="gain", rows=2, mean=0.125, least=-0.25, most=0.5,
                percentiles={1: -0.25, 5: -0.25, 25: -0.25, 50: -0.25, 75: 0.5, 95: 0.5, 99: 0.5},
                histogram=[NumberBin(low=n / 20, high=(n + 1) / 20, rows=n in (-5, 9)) for n in range(-5, 10)])
    ]  # fmt: skip


def test_a_probability_is_a_number_of_its_node(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    made = RunFolder(tmp_path / "run", job_file())
    write(made.path / "accepted/part-y.parquet", {"sure": {"choice": "Yes", "probability": 0.75}},
          {"sure": {"choice": "Yes", "probability": None}}, {"sure": {"choice": "Yes", "probability": 1.0}},
    )  # fmt: skip
    write(made.path / "rejected/part-y.parquet", {"sure": {"choice": "No", "probability": 0.25}},
          {"certain": {"choice": "No", "probability": 1}}, {"gain": {"score": 0.5}})  # fmt: skip
    statistics = counted(made.path)
    assert statistics.measures == [
        Measure(axis="gain", rows=1, mean=0.5, least=0.5, most=0.5, percentiles=dict.fromkeys(POINTS, 0.5),
                histogram=twentieths(in_10=1), at_least={n / 10: float(n <= 5) for n in range(1, 10)}),
        Measure(axis="sure", rows=3, mean=2 / 3, least=0.25, most=1.0,
                percentiles={1: 0.25, 5: 0.25, 25: 0.25, 50: 0.75, 75: 1.0, 95: 1.0, 99: 1.0},
                histogram=twentieths(in_5=1, in_15=1, in_19=1),
                at_least={n / 10: (1 + (n <= 2) + (n <= 7)) / 3 for n in range(1, 10)}),
    ]  # fmt: skip
    assert statistics.scores == []


def test_the_gallery_shows_probabilities_beside_scores(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    made = RunFolder(tmp_path / "run", job_file())
    write(made.path / "accepted/part-y.parquet",
          {"sure": {"choice": "Yes", "probability": 0.75}, "share": {"score": 0}})  # fmt: skip
    dataset, totals = open_dataset(str(made.path)), Totals(10)
    totals.add([row for piece in dataset.pieces for some in read(piece) for row in some])
    assert [row.scores for row in gallery(dataset, totals)] == [{"share": 0, "sure": 0.75}]


def test_the_page_shows_numbers_that_json_lacks_nowhere(run: Path) -> None:
    folder, _ = make([str(run)])
    page = (Path(folder) / "index.html").read_text(encoding="utf-8")
    assert "NaN" not in page.split('id="rows"')[1].split("</script>")[0]
    assert '"scores": {"gain": 0.5, "clarity": 4}' in page
    assert (
        "Scores from 0 to 100 by axis" in page
        and "Scores with decimals and probabilities, and their percentiles" in page
    )


def test_a_judge_of_another_scale_is_shown_on_it(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    pool = {"backend": "scripted", "model": "script", "script": "tests.support.scripts:oasis"}
    made = RunFolder(tmp_path / "run", job_file(recipe="match_score", pools={"vlm": pool}))
    texts = {"instruction": "描述", "response": "好"}
    rows = [
        Row(f"r{value}", SOURCE, None, None, source=texts, values={"match": score.Out(value, f"[[{value}]]")})
        for value in (7, 7, 10)
    ]
    made.part("x", *rows)
    statistics = counted(made.path)
    assert statistics.scores == [Axis(axis="match", counts={7: 2, 10: 1}, mean=8.0, low=1, high=10)]
    section = scores([statistics])
    assert section is not None
    assert section.plots[0].label == "Shares of the scores 1 to 10 on each axis of run"
    shares = {bar["name"]: list(bar["x"]) for bar in section.plots[0].figure["data"]}
    assert shares == {str(value): [{7: 200 / 3, 10: 100 / 3}.get(value, 0)] for value in range(1, 11)}
    head = ("run", "axis", "rows", "mean", *map(str, range(1, 11)))
    cells = ("run", "match", "3", "8.00", "0", "0", "0", "0", "0", "0", "2", "0", "0", "1")
    assert section.tables == [Table("Scores from 1 to 10 by axis", head, [cells])]


@pytest.mark.parametrize(
    ("scale", "counts", "expected"),
    [
        (None, {5: 1}, (1, 5)), (None, {1: 1, 3: 2}, (1, 5)), (None, {0: 1, 3: 1}, (0, 3)), (None, {6: 2}, (6, 6)),
        (None, {-3: 1, 40: 1}, (-3, 40)), ([1, 10], {3: 1}, (1, 10)), ([0, 1], {1: 1}, (0, 1)),
        ([1, 5], {10: 1}, (1, 10)), ([2, 5], {0: 1}, (0, 5)),  # the run was resumed with another scale
    ],
)  # fmt: skip
def test_without_a_scale_the_usual_one_is_shown_if_it_has_all_scores(
    scale: list[int] | None,
    counts: dict[int, int],
    expected: tuple[int, int],
    tmp_path: Path,
    job_file: Callable[..., Path],
) -> None:
    made = RunFolder(tmp_path / "run", job_file())
    write(
        made.path / "accepted/part-y.parquet", *(given("share", n) for n, rows in counts.items() for _ in range(rows))
    )
    nodes = read_manifest(str(made.path))["nodes"]
    made.manifest(nodes=[*nodes, {**nodes[0], "name": "share", "with": {"scale": scale} if scale else {}}])
    (axis,) = counted(made.path).scores
    assert (axis.counts, axis.low, axis.high) == (counts, *expected)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ((1, 5), [(n, n) for n in range(1, 6)]),
        ((0, 1), [(0, 0), (1, 1)]),
        ((6, 6), [(6, 6)]),
        ((1, 10), [(n, n) for n in range(1, 11)]),
        ((0, 10), [(n, n) for n in range(11)]),
        ((0, 11), [(n, n + 1) for n in range(0, 12, 2)]),
        ((1, 20), [(1, 1), *((n, n + 1) for n in range(2, 20, 2)), (20, 20)]),
        ((0, 100), [*((n, n + 9) for n in range(0, 100, 10)), (100, 100)]),
        ((1, 100), [(1, 9), *((n, n + 9) for n in range(10, 100, 10)), (100, 100)]),
        ((-5, 5), [(n, n) for n in range(-5, 6)]),
        ((-7, 40), [(-7, -6), (-5, -1), *((n, n + 4) for n in range(0, 40, 5)), (40, 40)]),
        ((0, 10**6), [*((n, n + 99_999) for n in range(0, 10**6, 100_000)), (10**6, 10**6)]),
    ],
)
def test_a_long_scale_is_shown_in_ranges(scale: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    assert bands(scale) == expected


def subject(name: str, *axes: Axis, measures: Any = (), correlations: Any = ()) -> DatasetStatistics:
    return DatasetStatistics(
        name=name, kind="run", rows=9, outcomes={}, languages=Languages(sampled={}, found=[]), scores=axes,
        measures=measures, correlations=correlations,
    )  # fmt: skip


def test_runs_are_shown_side_by_side_by_scale() -> None:
    axes = Axis(axis="a", counts={1: 1, 5: 3}, mean=4.0), Axis(axis="b", counts={0: 5}, mean=0.0, low=0, high=20)
    one = subject("one", *axes, correlations=[Correlation(one="a", other="b", rows=4, pearson=None)])
    two = subject("two", Axis(axis="a", counts={2: 2}, mean=2.0), measures=[
        Measure(axis="g", rows=1200, mean=-1234.5, least=-2e9, most=0.000123456,
                percentiles=dict.fromkeys((1, 5, 25, 50, 75, 95, 99), 0.25))])  # fmt: skip
    section = scores([one, subject("none"), two])
    assert section is not None
    assert [plot.label for plot in section.plots] == [
        "Shares of the scores 1 to 5 on each axis of one", "Shares of the scores 1 to 5 on each axis of two",
        "Shares of the scores 0 to 20 on each axis of one",
    ]  # fmt: skip
    colours = [bar["marker"]["color"] for bar in section.plots[0].figure["data"]]
    assert colours == [f"rgba(0, 114, 178, {share})" for share in ("0.2", "0.4", "0.6", "0.8", "1")]
    ranges = [f"{n}–{n + 1}" for n in range(0, 20, 2)]
    heights = [plot.figure["layout"]["height"] for plot in section.plots]
    assert heights == [128, 128, 168]  # the legend of eleven ranges takes more lines
    assert section.tables == [
        Table("Scores from 1 to 5 by axis", ("run", "axis", "rows", "mean", "1", "2", "3", "4", "5"),
              [("one", "a", "4", "4.00", "1", "0", "0", "0", "3"), ("two", "a", "2", "2.00", "0", "2", "0", "0", "0")]),
        Table("Scores from 0 to 20 by axis", ("run", "axis", "rows", "mean", *ranges, "20"),
              [("one", "b", "5", "0.00", "5", *["0"] * 10)]),
        Table("Scores with decimals and probabilities, and their percentiles",
              ("run", "axis", "rows", "mean", "minimum", "5%", "25%", "50%", "75%", "95%", "maximum"),
              [("two", "g", "1,200", "-1,234", "-2,000,000,000", *["0.25"] * 5, "0.0001235")]),
        Table("Correlation of two axes (Pearson; – if one of them is constant)",
              ("run", "axis", "other axis", "rows scored on both", "r"), [("one", "a", "b", "4", "–")]),
    ]  # fmt: skip
    assert scores([subject("none")]) is None
    only = scores([subject("one", measures=two.measures)])
    assert only is not None
    assert (only.plots, len(only.tables)) == ([], 1)


def test_numbers_have_a_histogram_each_and_those_within_0_and_1_a_row_of_thresholds() -> None:
    percentiles = dict.fromkeys(POINTS, 0.5)
    sure = Measure(
        axis="sure", rows=4, mean=0.5, least=0.05, most=0.95, percentiles=percentiles,
        histogram=twentieths(in_1=3, in_18=1), at_least={n / 10: 0.25 for n in range(1, 10)},
    )  # fmt: skip
    gain = Measure(axis="gain", rows=1, mean=-2.5, least=-2.5, most=-2.5, percentiles=percentiles,
                   histogram=[NumberBin(low=-3.0, high=-2.0, rows=1)])  # fmt: skip
    section = scores([subject("one", measures=[sure, gain]), subject("two", measures=[sure])])
    assert section is not None
    bars = [[(bar["name"], bar["width"], list(bar["x"]), list(bar["y"])) for bar in plot.figure["data"]]
            for plot in section.plots]  # fmt: skip
    middles, shares = [n / 20 + 0.025 for n in range(20)], [75.0 if n == 1 else 25.0 * (n == 18) for n in range(20)]
    assert bars == [
        [(f"{name} (mean 0.5)", 0.05, middles, shares) for name in ("one", "two")],
        [("one (mean -2.5)", 1.0, [-2.5], [100.0])],
    ]
    assert [(plot.label, plot.figure["layout"]["xaxis"]["title"]["text"]) for plot in section.plots] == [
        ("Numbers of sure", "sure"), ("Numbers of gain", "gain"),
    ]  # fmt: skip
    head = ("run", "axis", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9")
    assert section.tables[1:] == [
        Table("Share of rows that a threshold would keep (`at_least`)", head,
              [("one", "sure", *["25.0%"] * 9), ("two", "sure", *["25.0%"] * 9)]),
    ]  # fmt: skip
