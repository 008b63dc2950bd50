"""Report section on the scores of the judges: integers by their scale, and numbers by their quantiles."""

from collections.abc import Iterator, Sequence
from itertools import count as numbers_from

from oasis_ray.report.score_statistics import Axis, Correlation, Measure
from oasis_ray.report.section import Plot, Section, Table, count, histogram, stacked
from oasis_ray.report.statistics import DatasetStatistics
from oasis_ray.stats.histogram import PERCENTILES

MOST_BANDS = 11  # scores or ranges of scores that are told apart: 0 to 10
SHOWN = tuple(point for point in PERCENTILES if 1 < point < 99)

Scale = tuple[int, int]


def scores(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on the scores of the judges by axis, and on their correlations."""
    judged = [subject for subject in subjects if subject.scores or subject.measures]
    if not judged:
        return None
    plots, tables = [], []
    for scale in dict.fromkeys((axis.low, axis.high) for run in judged for axis in run.scores):
        low, high = scale
        for run in judged:
            axes = [axis for axis in run.scores if (axis.low, axis.high) == scale]
            if axes:
                label = f"Shares of the scores {low} to {high} on each axis of {run.name}"
                names = [_label(axis) for axis in axes]
                of = f"% of the {_unit(axes)} that reached the judge"
                plots.append(stacked(label, names, _shares(axes, scale), of))
        tables.append(_table(judged, scale))
    plots += _histograms(judged)
    tables += [table for table in (_measures(judged), _thresholds(judged)) if table is not None]
    if together := _correlations(judged):
        tables.append(together)
    lead = (
        "Scores of all rows that reached a judge, whatever their outcome, on the scale of the judge. A row leaves at "
        "the first judge that rejects it, so correlations are computed over the rows that both judges scored."
    )
    axes = [axis for run in judged for axis in run.scores]
    if any(axis.elements for axis in axes) or any(one.elements for one in _all_measures(judged)):
        lead += (
            " On axes with the mark “elements” a judge scores each element of a list. The scores of elements are "
            "counted one by one, and correlations are computed over pairs of scores of the same element."
        )
    return Section("scores", "Scores of the judges", lead, plots, tables)


def bands(scale: Scale) -> list[Scale]:
    """Return the scores of a scale, each as a range of one; of a long scale at most `MOST_BANDS` ranges."""
    low, high = scale
    steps = (step * 10**power for power in numbers_from() for step in (1, 2, 5))
    width = next(step for step in steps if high // step - low // step < MOST_BANDS)
    first = low // width * width
    return [(max(low, at), min(high, at + width - 1)) for at in range(first, high + 1, width)]


def _name(band: Scale) -> str:
    low, high = band
    if low == high:
        return str(low)
    return f"{low}–{high}" if low >= 0 else f"{low} to {high}"


def _in(axis: Axis, band: Scale) -> int:
    return sum(rows for score, rows in axis.counts.items() if band[0] <= score <= band[1])


def _shares(axes: Sequence[Axis], scale: Scale) -> list[tuple[str, list[float], str]]:
    """Return the parts of stacked bars, one for each score or range of scores: the higher, the darker."""
    every = bands(scale)
    return [
        (
            _name(band),
            [100 * _in(axis, band) / sum(axis.counts.values()) for axis in axes],
            f"rgba(0, 114, 178, {(at + 1) / len(every):.3g})",
        )
        for at, band in enumerate(every)
    ]


def _table(judged: Sequence[DatasetStatistics], scale: Scale) -> Table:
    every = bands(scale)
    rows = [
        (run.name, _label(axis), count(sum(axis.counts.values())), f"{axis.mean:.2f}",
         *(count(_in(axis, band)) for band in every))
        for run in judged for axis in run.scores if (axis.low, axis.high) == scale
    ]  # fmt: skip
    shown = [axis for run in judged for axis in run.scores if (axis.low, axis.high) == scale]
    head = ("run", "axis", _unit(shown), "mean", *map(_name, every))
    return Table(f"Scores from {scale[0]} to {scale[1]} by axis", head, rows)


def _measures(judged: Sequence[DatasetStatistics]) -> Table | None:
    """Table of the scores with decimals and the probabilities, which have no scale."""
    rows = [
        (run.name, _label(one), count(one.rows), _figure(one.mean), _figure(one.least),
         *(_figure(one.percentiles[point]) for point in SHOWN), _figure(one.most))
        for run in judged for one in run.measures
    ]  # fmt: skip
    head = (
        "run",
        "axis",
        _unit(_all_measures(judged)),
        "mean",
        "minimum",
        *(f"{point}%" for point in SHOWN),
        "maximum",
    )
    return Table("Scores with decimals and probabilities, and their percentiles", head, rows) if rows else None


def _histograms(judged: Sequence[DatasetStatistics]) -> Iterator[Plot]:
    """Yield a histogram of the numbers on each axis."""
    for axis in dict.fromkeys(_label(one) for one in _all_measures(judged)):
        named = [
            (f"{run.name} (mean {_figure(one.mean)})", one.histogram)
            for run in judged
            for one in run.measures
            if _label(one) == axis and one.histogram
        ]
        if named:
            unit = _unit([one for one in _all_measures(judged) if _label(one) == axis])
            yield histogram(f"Numbers of {axis}", named, axis, f"the {unit} that reached the judge")


def _all_measures(judged: Sequence[DatasetStatistics]) -> list[Measure]:
    return [one for run in judged for one in run.measures]


def _thresholds(judged: Sequence[DatasetStatistics]) -> Table | None:
    """Table of the shares of rows that thresholds would keep."""
    rows = [
        (run.name, _label(one), *map("{:.1%}".format, one.at_least.values()))
        for run in judged for one in run.measures if one.at_least
    ]  # fmt: skip
    title = f"Share of {_unit(_all_measures(judged))} that a threshold would keep (`at_least`)"
    return Table(title, ("run", "axis", *(f"{n / 10}" for n in range(1, 10))), rows) if rows else None


def _correlations(judged: Sequence[DatasetStatistics]) -> Table | None:
    rows = [
        (run.name, _mark(pair.one, pair), _mark(pair.other, pair), count(pair.rows),
         "–" if pair.pearson is None else f"{pair.pearson:.2f}")
        for run in judged for pair in run.correlations
    ]  # fmt: skip
    unit = _unit([pair for run in judged for pair in run.correlations])
    head = ("run", "axis", "other axis", f"{unit} scored on both", "r")
    return Table("Correlation of two axes (Pearson; – if one of them is constant)", head, rows) if rows else None


def _label(one: Axis | Measure) -> str:
    """Return the name of an axis, with a mark if its scores are those of elements."""
    return _mark(one.axis, one)


def _mark(axis: str, one: Axis | Measure | Correlation) -> str:
    return f"{axis} (elements)" if one.elements else axis


def _unit(shown: Sequence[Axis | Measure | Correlation]) -> str:
    """Return what has the scores that are shown together."""
    if all(one.elements for one in shown):
        return "elements"
    return "rows or elements" if any(one.elements for one in shown) else "rows"


def _figure(number: float) -> str:
    """Return a number with four digits that count: `0.3125`, `-1,235`."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"
