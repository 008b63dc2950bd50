"""What the terminal shows: progress while a run goes on, the funnel when it has ended, the graph of a plan."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from oasis_ray.cost.bill import Amount, Bill, Spent
from oasis_ray.explore.trace import Waited
from oasis_ray.output.counts import Counts
from oasis_ray.output.funnel import passages, shares
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.run.progress import Progress
from oasis_ray.types import Outcome

SHOWN = 6  # lines of a bill


def funnel(manifest: Mapping[str, Any], tally: Counts) -> Table:
    """How many rows came to each node, and where and why they left."""
    table = Table(title=f"The funnel of {manifest['recipe']}", title_justify="left", show_edge=False, pad_edge=False)
    for column, justify in (("node", "left"), ("rows in", "right"), ("left here", "right"), ("why", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for passage in passages(manifest, tally):
        why = ", ".join(f"{reason} {rows}" for reason, rows in passage.left.items() if rows)
        table.add_row(passage.node, str(passage.rows), str(passage.rows - passage.through or ""), why)
    return table


def waited(places: Sequence[Waited]) -> Table:
    """Where the time of each node's requests went: in an engine, or on the way there and back."""
    table = Table(title="What requests waited for", title_justify="left", show_edge=False, pad_edge=False)
    for column in ("node", "requests", "seconds each", "in an engine", "on the way"):
        table.add_column(column, justify="left" if column == "node" else "right")
    for place in places:
        each = place.seconds / place.requests
        inside = place.engine_seconds / place.seconds if place.seconds else 1.0
        table.add_row(place.node, str(place.requests), f"{each:.3f}", f"{inside:.1%}", f"{1 - inside:.1%}")
    return table


def session(progress: Progress) -> str:
    """Where a session stood when its driver last wrote, in a few lines."""
    outcomes = ", ".join(f"{progress.rows.get(outcome, 0)} {outcome}" for outcome in Outcome)
    ended = progress.rows_before + sum(progress.rows.values())
    step, waiting = progress.step, ""
    if progress.phase is not None:
        step, waiting = f"{progress.phase}: {step}", f", {progress.rows_waiting} wait for the next phase"
    told = [
        f"session {progress.session}: {step} for {clock(progress.step_s)}, {progress.silent_s:.0f} s ago",
        f"rows       {ended} of {progress.input_rows} ended{waiting}; of this session {outcomes}",
    ]
    if progress.recent_rows_per_s is not None and progress.rows_per_s is not None:
        left = "unknown" if progress.seconds_left is None else clock(progress.seconds_left)
        told.append(
            f"pace       {progress.recent_rows_per_s:.1f} rows/s and {progress.recent_reply_tokens_per_s or 0:.0f} "
            f"tokens/s now, {progress.rows_per_s:.1f} rows/s in all; time left: {left}"
        )
    tokens = progress.tokens
    cached = f"{tokens['cached'] / tokens['prompt']:.0%} of them cached" if tokens["prompt"] else "none cached"
    told.append(f"tokens     {tokens['prompt']} read, {cached}; {tokens['reply']} written")
    for place in progress.in_flight:
        where = f" (pool {place.pool})" if place.pool else ""
        told.append(
            f"in flight  {place.rows} at {place.node}{where}, the longest {place.oldest!r} for {place.seconds:.0f} s"
        )
    for pool, engines in progress.engines.items():
        states = ", ".join(f"{count} {state}" for state, count in engines.items() if count) or "none"
        told.append(f"engines    {pool}: {states}; {progress.gpu_seconds.get(pool, 0):.0f} GPU-seconds")
    told += [f"cost       {text}" for text in cost(progress.bill)]
    if progress.silent:
        told.append(
            f"the driver has not written for {progress.silent_s:.0f} s; it may be dead: run the job again to go on"
        )
    return "\n".join(told)


def cost(bill: Bill) -> list[str]:
    """What each accepted row has cost, and how much of that went into rows of other outcomes, the most first."""
    each = bill.per_accepted_row
    if each is None or not each.gpu_seconds:
        return []
    accepted = each.gpu_seconds / bill.total.gpu_seconds
    told = [
        f"{amount(bill.total, bill.currency)} in all, {amount(each, bill.currency)} for each accepted row, of these:"
    ]
    for line in sorted(bill.lines, key=lambda line: -line.gpu_seconds)[:SHOWN]:
        what = f"{line.reason} at {line.node}" if line.node else "the row itself" * (line.outcome == Outcome.ACCEPTED)
        spent = Spent(gpu_seconds=line.gpu_seconds, money=line.money).part(accepted)
        told.append(f"  {amount(spent, bill.currency)} for {line.outcome}{': ' * bool(what)}{what}")
    return told


def amount(spent: Amount | Spent, currency: str | None) -> str:
    """GPU-seconds, and money where there are prices."""
    said = "" if spent.money is None else f" ({money(spent.money)} {currency})"
    return f"{spent.gpu_seconds:,.1f} GPU-seconds{said}"


def money(value: float) -> str:
    """A sum: to the cent, or to two digits where that would say little."""
    return f"{value:,.2f}" if value >= 0.1 or not value else f"{value:.2g}"


def rates(manifest: Mapping[str, Any], tally: Counts) -> Group:
    """This run's rates beside the published ones, and what an accepted row has cost."""
    lines = []
    for rate, part, whole in shares(manifest, tally):
        share = f"{part / whole:.1%}" if whole else "-"
        lines.append(Text(f"{rate.label}: {share} ({part} of {whole}); published: {rate.published:.1%}"))
    accepted = tally.outcomes["accepted"]
    seconds = sum(session.get("seconds", 0) for session in manifest["sessions"])
    per = (
        f"{seconds / accepted:.1f} s and {tally.reply_tokens / accepted:.0f} tokens"
        if accepted
        else "none was accepted"
    )
    lines.append(
        Text(f"each accepted row took: {per}  ({seconds:.0f} s and {tally.reply_tokens} written tokens in all)")
    )
    return Group(*lines)


def graph(recipe: Recipe) -> Table:
    """The nodes in order: what each asks, of whom, fed by what."""
    table = Table(title=f"The graph of {recipe.name}", title_justify="left", show_edge=False, pad_edge=False)
    for column in ("node", "stage", "pool", "route"):
        table.add_column(column, no_wrap=True)
    table.add_column("fed by", overflow="fold")
    for node in recipe.nodes:
        wires: list[str] = []
        for wire in node.inputs.values():
            wires.extend(map(str, wire.values()) if isinstance(wire, Mapping) else [str(wire)])
        stage = type(node.stage).__name__
        table.add_row(node.name, stage, node.pool or "-", str(node.route), ", ".join(wires))
    return table


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
