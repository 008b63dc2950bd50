"""Report sections on the cost of a run, and on the accuracy of its forecast."""

from collections.abc import Mapping

from oasis_ray.report.section import COLOURS, Colour, Plot, Section, Table, count, outcome_colours, share, stacked
from oasis_ray.report.statistics import Cost, DatasetStatistics, EndCost, NodeCost
from oasis_ray.types import ACCEPTED

ENDS = 12  # outcomes (by node and reason) that the plot of costs shows
QUANTITIES = {"tokens read": "prompt tokens", "tokens written": "output tokens"}  # names in the forecast → shown


def cost(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on requests, tokens, seconds, GPU-seconds and money, by node and by outcome."""
    runs = [(subject, subject.cost) for subject in subjects if subject.cost and subject.cost.nodes]
    if not runs:
        return None
    plots, tables = [], [_each(runs)]
    colours = outcome_colours(subjects)
    for run, spent in runs:
        plots.append(_tokens(run.name, spent))
        tables.append(_nodes(run.name, spent))
        if spent.gpu_seconds and spent.ends:
            plots.append(_ends_plot(run, spent, colours))
            tables.append(_ends(run, spent))
    lead = "All requests are counted, including those of rejected and failed rows: an accepted row pays for these too."
    if any(spent.gpu_seconds for _, spent in runs):
        lead += (
            " A pool's GPU-seconds are divided among its nodes, and among rows, in proportion to the time that their "
            "requests spent in its engines."
        )
    return Section("cost", "Cost", lead, plots, tables)


def forecast(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on the forecast: predicted and actual values."""
    runs = [(subject, subject.forecast) for subject in subjects if subject.forecast and subject.forecast.figures]
    if not runs:
        return None
    rows, leads = [], []
    for run, predicted in runs:
        graded = [estimate for estimate in predicted.figures if estimate.actual is not None]
        inside = sum(estimate.inside is True for estimate in graded)
        lead = (
            f"{inside} of {len(graded)} values of {run.name} fell within their {predicted.confidence:.0%} intervals, "
        )
        lead += f"predicted from a probe of {count(predicted.probe_rows)} rows"
        if predicted.bottleneck and predicted.actual_bottleneck:
            lead += (
                f"; the predicted bottleneck was {predicted.bottleneck}, the actual one {predicted.actual_bottleneck}"
            )
        leads.append(f"{lead}.")
        rows += [
            (run.name, f"{QUANTITIES.get(one.what, one.what)} {one.of}".strip(),
             *(_figure(value) for value in (one.predicted, one.low, one.high)),
             _figure(one.actual or 0), "yes" if one.inside else "no")
            for one in graded
        ]  # fmt: skip
    head = ("run", "quantity", "predicted", "low", "high", "actual", "within interval")
    return Section("forecast", "Forecast", " ".join(leads), [], [Table("Predicted and actual values", head, rows)])


def _each(runs: list[tuple[DatasetStatistics, Cost]]) -> Table:
    """Table of the cost per accepted row, which includes the requests of all other rows."""
    head = [
        "run",
        "accepted rows",
        "seconds",
        "requests",
        "prompt tokens",
        "output tokens",
        "loading engines, s in total",
    ]
    on_gpus = any(spent.gpu_seconds for _, spent in runs)
    priced = any(spent.money for _, spent in runs)
    rows = []
    for run, spent in runs:
        accepted = run.outcomes.get(ACCEPTED, 0)
        sums = [sum(getattr(one, key) for one in spent.nodes) for key in ("requests", "prompt_tokens", "reply_tokens")]
        cells = [run.name, count(accepted), *(_over(total, accepted) for total in (spent.seconds, *sums))]
        cells.append(count(spent.seconds_loading))
        cells += [_over(spent.gpu_seconds or 0, accepted)] * on_gpus
        cells += [f"{_over(spent.money or 0, accepted)} {spent.currency or ''}".strip()] * priced
        rows.append(tuple(cells))
    head += ["GPU-seconds"] * on_gpus + ["money"] * priced
    return Table("Cost per accepted row", tuple(head), rows)


def _tokens(name: str, spent: Cost) -> Plot:
    nodes = [one.node for one in spent.nodes]
    parts = [
        ("prompt", [one.prompt_tokens - one.cached_tokens for one in spent.nodes], COLOURS[0]),
        ("prompt, cached", [one.cached_tokens for one in spent.nodes], COLOURS[4]),
        ("output", [one.reply_tokens for one in spent.nodes], COLOURS[1]),
    ]
    return stacked(f"Tokens by node of {name}", nodes, parts, "tokens")


def _nodes(name: str, spent: Cost) -> Table:
    head = ("node", "requests", "prompt tokens", "cached", "output tokens", "seconds per request", *_units(spent))
    rows = [
        (
            one.node,
            count(one.requests),
            count(one.prompt_tokens),
            share(one.cached_tokens, one.prompt_tokens),
            count(one.reply_tokens),
            f"{one.seconds / one.requests:.2f}",
            *_spent(spent, one),
        )
        for one in spent.nodes
    ]
    return Table(f"Requests of {name} by node", head, rows)


def _ends_plot(run: DatasetStatistics, spent: Cost, colours: Mapping[str, Colour]) -> Plot:
    ends = sorted(spent.ends, key=lambda end: -end.gpu_seconds)[:ENDS]
    names = [_end(end) for end in ends]
    parts = [
        (outcome, [end.gpu_seconds if end.outcome == outcome else 0.0 for end in ends], colours[outcome].plot)
        for outcome in run.outcomes
    ]
    return stacked(f"GPU-seconds of {run.name} by outcome", names, parts, "GPU-seconds")


def _ends(run: DatasetStatistics, spent: Cost) -> Table:
    """Table of the cost by outcome, node and reason, in total and per accepted row."""
    accepted = run.outcomes.get(ACCEPTED, 0)
    rows = [
        (
            _end(one),
            count(one.rows),
            count(one.reply_tokens),
            *_spent(spent, one),
            share(one.gpu_seconds, spent.gpu_seconds or 0),
            _over(one.gpu_seconds, accepted),
        )
        for one in sorted(spent.ends, key=lambda one: -one.gpu_seconds)
    ]
    head = ("outcome", "rows", "output tokens", *_units(spent), "share", "GPU-seconds per accepted row")
    return Table(f"Cost of {run.name} by outcome", head, rows)


def _end(one: EndCost) -> str:
    return f"{one.outcome}: {one.reason} at {one.node}" if one.node else one.outcome


def _units(spent: Cost) -> list[str]:
    return ["GPU-seconds"] * bool(spent.gpu_seconds) + [str(spent.currency)] * (spent.money is not None)


def _spent(spent: Cost, one: NodeCost | EndCost) -> list[str]:
    cells = [count(one.gpu_seconds or 0)] * bool(spent.gpu_seconds)
    return cells + [_figure(one.money or 0)] * (spent.money is not None)


def _over(total: float, rows: int) -> str:
    return _figure(total / rows) if rows else "–"


def _figure(value: float) -> str:
    return f"{value:,.1f}" if value >= 10 else f"{value:.3g}"
