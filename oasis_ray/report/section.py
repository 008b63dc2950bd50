"""Section of the report: an introduction of one or two sentences, plots, and the tables behind them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from oasis_ray.report.statistics import Bin

# Distinguishable with colour vision deficiency (Okabe and Ito 2008), on light and dark backgrounds.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
OUTCOME_COLOURS = {"accepted": "#009E73", "captions": "#56B4E9", "rejected": "#E69F00", "failed": "#D55E00"}


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
        height=100 + 28 * len(names),
        yaxis={"autorange": "reversed", "automargin": True},
        xaxis={"title": {"text": axis}},
    )


def histogram(label: str, datasets: Sequence[tuple[str, Sequence[Bin]]], axis: str, what: str) -> Plot:
    """Return a histogram in percent of each data set, given as name and bins. The last bin is open-ended."""
    traces = []
    for (name, bins), colour in zip(datasets, COLOURS, strict=False):
        width = (bins[0].high or 1) if bins else 1
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
        "xaxis": {"title": {"text": f"{axis} (last bar: this or more)"}},
        "yaxis": {"title": {"text": f"% of {what}"}},
    }
    return plot(label, traces, barmode="overlay", bargap=0, height=280, showlegend=True, **titles)


def share(part: float, whole: float) -> str:
    """Return a share in percent."""
    return f"{part / whole:.1%}" if whole else "–"


def count(number: float) -> str:
    """Return a number with thousands separators."""
    return f"{number:,.0f}"
