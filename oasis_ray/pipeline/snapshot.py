"""A snapshot of the coordinator: rows by node and outcome, events, and what is in flight."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from oasis_ray.errors import counted
from oasis_ray.output.counts import Counts


@dataclass(frozen=True, slots=True)
class Event:
    """An event for the session's log, numbered from 1; `at` is in seconds since 1970."""

    number: int
    at: float
    event: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RowsAtNode:
    """Rows of one worker at one node: how many, and the id and the seconds of the one that has been there longest."""

    node: str
    rows: int
    oldest: str
    seconds: float


@dataclass
class Snapshot:
    """What the driver sees of a run.

    moved: a number that grows as long as requests are answered or rows end. begun: rows. errors: infrastructure
    failures. standing: rows by worker and node. waiting: rows at the end of this phase that wait for the next.
    seconds: from the first row that was begun to the last that ended. at_once: rows in flight, on average.
    """

    counts: Counts = field(default_factory=Counts)
    moved: int = 0
    begun: int = 0
    errors: list[str] = field(default_factory=list)
    standing: list[RowsAtNode] = field(default_factory=list)
    waiting: int = 0
    seconds: float = 0.0
    at_once: float = 0.0


def by_node(standing: list[RowsAtNode]) -> list[RowsAtNode]:
    """Return the rows of all workers together, one value per node, the most rows first."""
    totals: dict[str, RowsAtNode] = {}
    for rows in standing:
        total = totals.get(rows.node, RowsAtNode(rows.node, 0, "", -1.0))
        longest = max(rows, total, key=lambda each: each.seconds)
        totals[rows.node] = RowsAtNode(rows.node, rows.rows + total.rows, longest.oldest, longest.seconds)
    return sorted(totals.values(), key=lambda rows: -rows.rows)


def rows_by_node(standing: list[RowsAtNode], pools: Mapping[str, str | None]) -> str:
    """Return where rows are as a message: `96 rows at respond (pool vlm), the longest 'a' for 90 s`."""
    lines = []
    for rows in by_node(standing):
        pool = f" (pool '{pools[rows.node]}')" if pools.get(rows.node) else ""
        lines.append(
            f"{counted(rows.rows, 'row')} at {rows.node}{pool}, the longest '{rows.oldest}' for {rows.seconds:.0f} s"
        )
    return "; ".join(lines) or "no row is in flight"
