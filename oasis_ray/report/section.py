"""Section of the report: an introduction of one or two sentences, plots, and the tables behind them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, NamedTuple

import plotly.graph_objects as go

from oasis_ray.output.outcomes import kept
from oasis_ray.report.score_statistics import NumberBin
from oasis_ray.report.statistics import Bin, DatasetStatistics
from oasis_ray.types import ACCEPTED, DROPPED, FAILED, REJECTED


class Colour(NamedTuple):
    """Colour in plots, and that of borders on the page: a line of the same colour as an area looks lighter."""

    plot: str
    border: str


# Distinguishable with colour vision deficiency (Okabe and Ito 2008), on light and dark backgrounds.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
OUTCOME_COLOURS = {
    ACCEPTED: Colour("#009E73", "#009e73"),
    REJECTED: Colour("#E69F00", "#d98b00"),
    FAILED: Colour("#D55E00", "#d55e00"),
}
FURTHER = (Colour("#56B4E9", "#3a9bd6"), Colour("#CC79A7", "#b95f92"), Colour("#999999", "#808080"))  # by order

LEGEND = 6  # parts whose names fit one or two lines above a plot


@dataclass(frozen=True)
class Plot:
    """Plotly figure and its label."""

    label: str
    figure: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """Table of texts."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    @property
    def numeric(self) -> list[bool]:
        """Return for each column whether all its cells are numbers, which are right-aligned."""
        return [
            all(row[at][:1].isdigit() or row[at][:1] in "-–<" for row in self.rows if row[at])
            for at in range(len(self.head))
        ]


@dataclass(frozen=True)
class Section:
    """Section of the page."""

    name: str
    title: str
    lead: str
    plots: list[Plot] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def all_outcomes(subjects: Sequence[DatasetStatistics]) -> tuple[str, ...]:
    """Return the outcomes of all data sets, in one order: records, then `rejected` and `failed`."""
    names = dict.fromkeys(outcome for subject in subjects for outcome in subject.outcomes)
    return (*kept(names), *(outcome for outcome in DROPPED if outcome in names))


def outcome_colours(subjects: Sequence[DatasetStatistics]) -> dict[str, Colour]:
    """Return the outcomes of all data sets in order, with the colours that they have on the whole page."""
    further = cycle(FURTHER)
    return {outcome: OUTCOME_COLOURS.get(outcome) or next(further) for outcome in all_outcomes(subjects)}


def plot(label: str, traces: Sequence[Any], **layout: Any) -> Plot:
    """Return a plot of these traces. The page sets the colours of text and background."""
    figure = go.Figure(list(traces))
    figure.update_layout(
        template="none",
        margin={"l": 60, "r": 12, "t": 36, "b": 44},
        colorway=COLOURS,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        **layout,
    )
    as_json = figure.to_plotly_json()
    as_json["layout"].pop("template", None)
    return Plot(label, as_json)


def stacked(label: str, names: Sequence[str], parts: Sequence[tuple[str, Sequence[float], str]], axis: str) -> Plot:
    """Return horizontal stacked bars, one per name. A part has a name, a length in each bar, and a colour."""
    bars = [
        go.Bar(y=list(names), x=list(lengths), name=part, orientation="h", marker={"color": colour})
        for part, lengths, colour in parts
    ]
    return plot(
        label,
        bars,
        barmode="stack",
        height=100 + 28 * len(names) + (20 * (len(parts) // 4) if len(parts) > LEGEND else 0),
        yaxis={"autorange": "reversed", "automargin": True},
        xaxis={"title": {"text": axis}},
    )


def histogram(label: str, datasets: Sequence[tuple[str, Sequence[Bin | NumberBin]]], axis: str, what: str) -> Plot:
    """Return a histogram in percent of each data set, given as name and bins. The last bin of lengths is open-ended."""
    traces, is_open = [], any(isinstance(one, Bin) for _, bins in datasets for one in bins)
    for (name, bins), colour in zip(datasets, COLOURS, strict=False):
        width = (bins[0].high or 1) - bins[0].low if bins else 1
        whole = sum(one.rows for one in bins)
        traces.append(
            go.Bar(
                x=[one.low + width / 2 for one in bins],
                y=[100 * one.rows / whole for one in bins],
                width=width,
                name=name,
                marker={"color": colour, "opacity": 0.85 if len(datasets) == 1 else 0.55},
            )
        )
    titles = {
        "xaxis": {"title": {"text": f"{axis} (last bar: this or more)" if is_open else axis}},
        "yaxis": {"title": {"text": f"% of {what}"}},
    }
    return plot(label, traces, barmode="overlay", bargap=0, height=280, showlegend=True, **titles)


def share(part: float, whole: float) -> str:
    """Return a share in percent."""
    return f"{part / whole:.1%}" if whole else "–"


def count(number: float) -> str:
    """Return a number with thousands separators."""
    return f"{number:,.0f}"
