"""A snapshot of the coordinator: rows by node and outcome, events, and what is in flight."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from oasis_ray.output.counts import Counts


@dataclass(frozen=True, slots=True)
class Event:
    """Something for the session's log, counted from 1: what, when (seconds since 1970), and its facts."""

    number: int
    at: float
    event: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RowsAtNode:
    """Rows of one worker that stand at one node: how many, which of them the longest, and since how many seconds."""

    node: str
    rows: int
    oldest: str
    seconds: float


@dataclass
class Snapshot:
    """What the driver sees: the tally, a count that grows as long as anything moves, where rows stand, what failed; the
    seconds from the first row that was begun to the last one that ended, and how many were in flight, on average.

    `waiting` counts the rows that have come to the end of this phase and wait for the next.
    """

    tally: Counts = field(default_factory=Counts)
    moved: int = 0
    begun: int = 0
    errors: list[str] = field(default_factory=list)
    standing: list[RowsAtNode] = field(default_factory=list)
    waiting: int = 0
    seconds: float = 0.0
    at_once: float = 0.0


def by_node(standing: list[RowsAtNode]) -> list[RowsAtNode]:
    """Where rows stand, all workers together: a value a node, the most rows first."""
    found: dict[str, RowsAtNode] = {}
    for one in standing:
        other = found.get(one.node, RowsAtNode(one.node, 0, "", -1.0))
        longest = max(one, other, key=lambda each: each.seconds)
        found[one.node] = RowsAtNode(one.node, one.rows + other.rows, longest.oldest, longest.seconds)
    return sorted(found.values(), key=lambda one: -one.rows)


def told_of(standing: list[RowsAtNode], pools: Mapping[str, str | None]) -> str:
    """In plain words where rows stand, the most first: `96 rows at respond (pool vlm), the longest 'a' for 90 s`."""
    lines = []
    for one in by_node(standing):
        where = f" (pool '{pools[one.node]}')" if pools.get(one.node) else ""
        lines.append(f"{one.rows} rows at {one.node}{where}, the longest '{one.oldest}' for {one.seconds:.0f} s")
    return "; ".join(lines) or "no row is in flight"
