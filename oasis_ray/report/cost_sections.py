"""The sections on what a run has cost, and on how well that was known before."""

from oasis_ray.report.section import COLOURS, OUTCOME_COLOURS, Plot, Section, Table, count, share, stacked
from oasis_ray.report.statistics import Cost, DatasetStatistics, EndCost, NodeCost

ENDS = 12  # ways to end that the plot of costs shows


def cost(subjects: list[DatasetStatistics]) -> Section | None:
    """What the run took: requests, tokens, seconds, GPU-seconds and money, by node and by where rows ended."""
    runs = [(subject, subject.cost) for subject in subjects if subject.cost and subject.cost.nodes]
    if not runs:
        return None
    plots, tables = [], [_each(runs)]
    for run, spent in runs:
        plots.append(_tokens(run.name, spent))
        tables.append(_nodes(run.name, spent))
        if spent.gpu_seconds and spent.ends:
            plots.append(_ends_plot(run.name, spent))
            tables.append(_ends(run, spent))
    lead = "All requests are counted, also those of rows that were turned down: an accepted row pays for these too."
    if any(spent.gpu_seconds for _, spent in runs):
        lead += (
            " A pool's GPU-seconds are shared among its nodes, and among rows, by the seconds for which their requests "
            "were in its engines."
        )
    return Section("cost", "Cost", lead, plots, tables)


def forecast(subjects: list[DatasetStatistics]) -> Section | None:
    """What a probe had said of the run, and what it came to."""
    runs = [(subject, subject.forecast) for subject in subjects if subject.forecast and subject.forecast.figures]
    if not runs:
        return None
    rows, told = [], []
    for run, made in runs:
        graded = [one for one in made.figures if one.actual is not None]
        inside = sum(one.inside is True for one in graded)
        said = (
            f"{inside} of {len(graded)} figures of {run.name} came to lie in their intervals of {made.confidence:.0%}, "
        )
        said += f"predicted from a probe of {count(made.probe_rows)} rows"
        if made.bottleneck and made.actual_bottleneck:
            said += f"; the bottleneck was said to be {made.bottleneck}, and was {made.actual_bottleneck}"
        told.append(f"{said}.")
        rows += [
            (run.name, f"{one.what} {one.of}".strip(), *(_figure(x) for x in (one.predicted, one.low, one.high)),
             _figure(one.actual or 0), "yes" if one.inside else "no")
            for one in graded
        ]  # fmt: skip
    head = ("run", "figure", "predicted", "least", "most", "came to", "inside")
    return Section(
        "forecast", "The forecast", " ".join(told), [], [Table("What was predicted, and what came", head, rows)]
    )


def _each(runs: list[tuple[DatasetStatistics, Cost]]) -> Table:
    """What an accepted row took, all others' requests counted in."""
    head = ["run", "accepted", "seconds each", "requests each", "tokens read each", "written each", "loading, s in all"]
    on_gpus = any(spent.gpu_seconds for _, spent in runs)
    priced = any(spent.money for _, spent in runs)
    rows = []
    for run, spent in runs:
        accepted = run.outcomes.get("accepted", 0)
        sums = [sum(getattr(one, key) for one in spent.nodes) for key in ("requests", "prompt_tokens", "reply_tokens")]
        cells = [run.name, count(accepted), *(_over(total, accepted) for total in (spent.seconds, *sums))]
        cells.append(count(spent.seconds_loading))
        cells += [_over(spent.gpu_seconds or 0, accepted)] * on_gpus
        cells += [f"{_over(spent.money or 0, accepted)} {spent.currency or ''}".strip()] * priced
        rows.append(tuple(cells))
    head += ["GPU-seconds each"] * on_gpus + ["money each"] * priced
    return Table("What an accepted row took", tuple(head), rows)


def _tokens(name: str, spent: Cost) -> Plot:
    nodes = [one.node for one in spent.nodes]
    parts = [
        ("read", [one.prompt_tokens - one.cached_tokens for one in spent.nodes], COLOURS[0]),
        ("read from the cache", [one.cached_tokens for one in spent.nodes], COLOURS[4]),
        ("written", [one.reply_tokens for one in spent.nodes], COLOURS[1]),
    ]
    return stacked(f"Tokens by node of {name}", nodes, parts, "tokens")


def _nodes(name: str, spent: Cost) -> Table:
    head = ("node", "requests", "tokens read", "of these cached", "tokens written", "seconds a request", *_units(spent))
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
    return Table(f"What each node of {name} asked of its pool", head, rows)


def _ends_plot(name: str, spent: Cost) -> Plot:
    some = sorted(spent.ends, key=lambda one: -one.gpu_seconds)[:ENDS]
    names = [_end(one) for one in some]
    parts = [
        (outcome, [one.gpu_seconds if one.outcome == outcome else 0.0 for one in some], colour)
        for outcome, colour in OUTCOME_COLOURS.items()
    ]
    return stacked(f"GPU-seconds of {name} by where rows ended", names, parts, "GPU-seconds")


def _ends(run: DatasetStatistics, spent: Cost) -> Table:
    """What rows of each end have cost, and what of that an accepted row pays for."""
    accepted = run.outcomes.get("accepted", 0)
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
    head = ("ended", "rows", "tokens written", *_units(spent), "of all", "GPU-seconds for an accepted row")
    return Table(f"Where the GPU-seconds of {run.name} went", head, rows)


def _end(one: EndCost) -> str:
    return f"{one.outcome}: {one.reason} at {one.node}" if one.node else one.outcome


def _units(spent: Cost) -> list[str]:
    return ["GPU-seconds"] * bool(spent.gpu_seconds) + [str(spent.currency)] * (spent.money is not None)


def _spent(spent: Cost, one: NodeCost | EndCost) -> list[str]:
    found = [count(one.gpu_seconds or 0)] * bool(spent.gpu_seconds)
    return found + [_figure(one.money or 0)] * (spent.money is not None)


def _over(total: float, rows: int) -> str:
    return _figure(total / rows) if rows else "–"


def _figure(value: float) -> str:
    return f"{value:,.1f}" if value >= 10 else f"{value:.3g}"
