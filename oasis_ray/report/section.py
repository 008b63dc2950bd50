"""A section of the report: what it says in a sentence or two, its plots, and the tables behind them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from oasis_ray.report.statistics import Bin

# Told apart by people who see colours differently (Okabe and Ito 2008), on light and on dark ground.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
OUTCOME_COLOURS = {"accepted": "#009E73", "captions": "#56B4E9", "rejected": "#E69F00", "failed": "#D55E00"}


@dataclass(frozen=True)
class Plot:
    """A figure for Plotly, and what it shows, in words."""

    label: str
    figure: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """Text in rows and columns."""

    caption: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    @property
    def numeric(self) -> list[bool]:
        """For each column, whether all its cells are figures; these stand on the right."""
        return [
            all(row[at][:1].isdigit() or row[at][:1] in "-–<" for row in self.rows if row[at])
            for at in range(len(self.head))
        ]


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    name: str
    title: str
    lead: str
    plots: list[Plot] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plot(label: str, traces: Sequence[Any], **layout: Any) -> Plot:
    """A plot of these traces. Colours of text and ground are the page's."""
    figure = go.Figure(list(traces))
    figure.update_layout(
        template="none",
        margin={"l": 60, "r": 12, "t": 36, "b": 44},
        colorway=COLOURS,
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        **layout,
    )
    found = figure.to_plotly_json()
    found["layout"].pop("template", None)
    return Plot(label, found)


def stacked(label: str, names: Sequence[str], parts: Sequence[tuple[str, Sequence[float], str]], axis: str) -> Plot:
    """Lying bars, one a name, each of parts: what a part is called, its length in every bar, and its colour."""
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


def histogram(label: str, some: Sequence[tuple[str, Sequence[Bin]]], axis: str, what: str) -> Plot:
    """How values are spread, in per cent of each subject's; a subject is a name and bins, of which the last is open."""
    traces = []
    for (name, bins), colour in zip(some, COLOURS, strict=False):
        width = (bins[0].high or 1) if bins else 1
        whole = sum(one.rows for one in bins)
        traces.append(
            go.Bar(
                x=[one.low + width / 2 for one in bins],
                y=[100 * one.rows / whole for one in bins],
                width=width,
                name=name,
                marker={"color": colour, "opacity": 0.85 if len(some) == 1 else 0.55},
            )
        )
    titles = {
        "xaxis": {"title": {"text": f"{axis} (last bar: and more)"}},
        "yaxis": {"title": {"text": f"% of {what}"}},
    }
    return plot(label, traces, barmode="overlay", bargap=0, height=280, showlegend=True, **titles)


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent."""
    return f"{part / whole:.1%}" if whole else "–"


def count(number: float) -> str:
    """A number with its thousands set apart."""
    return f"{number:,.0f}"
