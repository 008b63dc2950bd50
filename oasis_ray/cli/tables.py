"""Tables and texts for the terminal: progress of a run, funnel, rates, cost, and the graph of a recipe."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from oasis_ray.cost.bill import Amount, Bill, Spent
from oasis_ray.explore.trace import Waited
from oasis_ray.output.counts import Counts
from oasis_ray.output.funnel import passages, shares
from oasis_ray.recipe.recipe import Node, Recipe
from oasis_ray.run.progress import Progress
from oasis_ray.types import ACCEPTED

SHOWN = 6  # lines of the bill that are printed


def funnel(manifest: Mapping[str, Any], tally: Counts) -> Table:
    """Table of the funnel: rows into each node, and how many it diverted, by reason."""
    table = Table(title=f"The funnel of {manifest['recipe']}", title_justify="left", show_edge=False, pad_edge=False)
    for column, justify in (("node", "left"), ("rows in", "right"), ("diverted", "right"), ("why", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for passage in passages(manifest, tally):
        why = ", ".join(f"{leaving} {rows}" for leaving, rows in passage.left.items() if rows)
        table.add_row(passage.node, str(passage.rows), str(passage.rows - passage.through or ""), why)
        if passage.elements:
            why = ", ".join(f"{leaving} {elements}" for leaving, elements in passage.dropped.items())
            table.add_row("  elements", str(passage.elements), str(sum(passage.dropped.values()) or ""), why)
    return table


def waited(nodes: Sequence[Waited]) -> Table:
    """Table of request times by node: seconds per request, and the shares inside and outside the engine."""
    table = Table(title="Request times", title_justify="left", show_edge=False, pad_edge=False)
    for column in ("node", "requests", "seconds each", "in engine", "outside engine"):
        table.add_column(column, justify="left" if column == "node" else "right")
    for node in nodes:
        each = node.seconds / node.requests
        inside = node.engine_seconds / node.seconds if node.seconds else 1.0
        table.add_row(node.node, str(node.requests), f"{each:.3f}", f"{inside:.1%}", f"{1 - inside:.1%}")
    return table


def session(progress: Progress) -> str:
    """Return the state of a session in a few lines, as its driver last reported it."""
    outcomes = ", ".join(f"{rows} {outcome}" for outcome, rows in progress.rows.items())
    ended = progress.rows_before + sum(progress.rows.values())
    step, waiting = progress.step, ""
    if progress.phase is not None:
        step, waiting = f"{progress.phase}: {step}", f", {progress.rows_waiting} waiting for the next phase"
    lines = [
        f"session {progress.session}: {step} for {clock(progress.step_s)}, {progress.silent_s:.0f} s ago",
        f"rows       {ended} of {progress.input_rows} ended{waiting}; this session: {outcomes}",
    ]
    if progress.recent_rows_per_s is not None and progress.rows_per_s is not None:
        left = "unknown" if progress.seconds_left is None else clock(progress.seconds_left)
        lines.append(
            f"pace       {progress.recent_rows_per_s:.1f} rows/s and {progress.recent_reply_tokens_per_s or 0:.0f} "
            f"tokens/s now, {progress.rows_per_s:.1f} rows/s on average; time left: {left}"
        )
    tokens = progress.tokens
    cached = f"{tokens['cached'] / tokens['prompt']:.0%} cached" if tokens["prompt"] else "none cached"
    lines.append(f"tokens     {tokens['prompt']} prompt ({cached}), {tokens['reply']} output")
    for place in progress.in_flight:
        where = f" (pool {place.pool})" if place.pool else ""
        lines.append(
            f"in flight  {place.rows} at {place.node}{where}, the oldest {place.oldest!r} for {place.seconds:.0f} s"
        )
    for pool, engines in progress.engines.items():
        states = ", ".join(f"{count} {state}" for state, count in engines.items() if count) or "none"
        lines.append(f"engines    {pool}: {states}; {progress.gpu_seconds.get(pool, 0):.0f} GPU-seconds")
    lines += [f"cost       {text}" for text in cost(progress.bill)]
    if progress.silent:
        lines.append(
            f"the driver has not reported for {progress.silent_s:.0f} s; it may be dead: run the job again to resume"
        )
    return "\n".join(lines)


def cost(bill: Bill) -> list[str]:
    """Return lines on the cost per accepted row, and on the outcomes that it pays for, the most expensive first."""
    each = bill.per_accepted_row
    if each is None or not each.gpu_seconds:
        return []
    accepted = each.gpu_seconds / bill.total.gpu_seconds
    lines = [
        f"{amount(bill.total, bill.currency)} in total, {amount(each, bill.currency)} per accepted row, including:"
    ]
    for line in sorted(bill.lines, key=lambda line: -line.gpu_seconds)[:SHOWN]:
        what = f"{line.reason} at {line.node}" if line.node else "the row itself" * (line.outcome == ACCEPTED)
        spent = Spent(gpu_seconds=line.gpu_seconds, money=line.money).part(accepted)
        lines.append(f"  {amount(spent, bill.currency)} for {line.outcome}{': ' * bool(what)}{what}")
    return lines


def amount(spent: Amount | Spent, currency: str | None) -> str:
    """Return an amount as text: GPU-seconds, and money if there are prices."""
    price = "" if spent.money is None else f" ({money(spent.money)} {currency})"
    return f"{spent.gpu_seconds:,.1f} GPU-seconds{price}"


def money(value: float) -> str:
    """Return a sum of money as text: two decimals, or two significant digits if it is below 0.1."""
    return f"{value:,.2f}" if value >= 0.1 or not value else f"{value:.2g}"


def rates(manifest: Mapping[str, Any], tally: Counts) -> Group:
    """Return the rates of a run next to the published ones, and seconds and tokens per accepted row."""
    lines = []
    for rate, part, whole in shares(manifest, tally):
        share = f"{part / whole:.1%}" if whole else "-"
        lines.append(Text(f"{rate.label}: {share} ({part} of {whole}); published: {rate.published:.1%}"))
    accepted = tally.outcomes[ACCEPTED]
    seconds = sum(session.get("seconds", 0) for session in manifest["sessions"])
    per = (
        f"{seconds / accepted:.1f} s and {tally.reply_tokens / accepted:.0f} output tokens"
        if accepted
        else "no row was accepted"
    )
    lines.append(Text(f"per accepted row: {per}  (in total {seconds:.0f} s and {tally.reply_tokens} output tokens)"))
    return Group(*lines)


def graph(recipe: Recipe) -> Table:
    """Table of the nodes in order: stage, pool, route and inputs.

    The column `route` also shows the route on which rows continue after the node, if it is another (`main -> other`),
    and below it each exit with its route, if that has another name than the exit (`exit poem -> verse`).
    """
    table = Table(title=f"The graph of {recipe.name}", title_justify="left", show_edge=False, pad_edge=False)
    for column in ("node", "stage", "pool", "route"):
        table.add_column(column, no_wrap=True)
    table.add_column("inputs", overflow="fold")
    for node in recipe.nodes:
        stage = node.kind.rpartition(":")[2]  # of an external stage the class
        table.add_row(node.name, stage, node.pool or "-", _routes(node), ", ".join(_references(node)))
    return table


def _routes(node: Node) -> str:
    onward = node.route if node.to in (None, node.route) else f"{node.route} -> {node.to}"
    exits = [f"exit {name} -> {route}" for name, route in node.exits.items() if route != name]
    return "\n".join([onward, *exits])


def _references(node: Node) -> list[str]:
    """Return the references of a node's inputs; `or` joins those of which the first that a row has is taken.

    `each of` marks lists with whose elements the node works.
    """
    return [f"each of {text}" for text in _texts(node.lists)] + _texts(node.wires)


def _texts(bound: Mapping[str, Any]) -> list[str]:
    wires: list[Any] = []
    for wire in bound.values():
        wires.extend(wire.values() if isinstance(wire, Mapping) else [wire])
    return [wire if isinstance(wire, str) else " or ".join(wire) for wire in wires]


def clock(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds: 1:02:03."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
