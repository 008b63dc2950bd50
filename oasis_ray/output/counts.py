"""Counts: rows by outcome, node and reason, and the tokens and seconds that they used, by node.

During a run the coordinator keeps counts of what the workers report. At its end the same counts are taken from the
parts (`ledger.counts_of`); the manifest and all reports use these.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from oasis_ray.types import DROPPED

SUMS = ("prompt_tokens", "cached_tokens", "reply_tokens", "seconds")


class EndedRow(NamedTuple):
    """What is counted of an ended row.

    `node` and `reason` of rejected and failed rows, its requests, its moves, and the elements of its lists.
    """

    outcome: str
    node: str | None
    reason: str | None
    lineage: Sequence[Mapping[str, Any]]
    moves: Sequence[Mapping[str, Any]] = ()
    elements: Sequence[Mapping[str, Any]] = ()


@dataclass
class Usage:
    """A node's use of its pool: requests, prompt tokens (and how many of them were cached), output tokens, seconds."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    reply_tokens: int = 0
    seconds: float = 0.0

    def add(self, step: Mapping[str, Any]) -> None:
        """Add one request of a row's lineage."""
        self.requests += 1
        for name in SUMS:
            setattr(self, name, getattr(self, name) + step[name])

    def merge(self, other: "Usage") -> None:
        """Add the usage of `other`."""
        self.requests += other.requests
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class End(NamedTuple):
    """Where rows ended: the outcome, and for rejected and failed rows the node and the reason."""

    outcome: str
    node: str = ""
    reason: str = ""


@dataclass
class Counts:
    """Counts of ended rows and their usage.

    `reasons` is by outcome, node and reason, `moves` by node, new route and reason, `spent` by where the rows ended,
    then by node. `elements` is by node, outcome and reason; outcome and reason are empty for elements that passed.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    moves: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    spent: dict[End, dict[str, Usage]] = field(default_factory=dict)
    elements: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, rows: Iterable[EndedRow]) -> None:
        """Add ended rows."""
        for row in rows:
            end = End(row.outcome, row.node or "", row.reason or "")
            self.outcomes[row.outcome] += 1
            if row.outcome in DROPPED:
                self.reasons[end] += 1
            for move in row.moves:
                self.moves[move["node"], move["route"], move["reason"]] += 1
            for entry in row.elements:
                self.add_elements(entry)
            for step in row.lineage:
                self.cost(end, step["node"]).add(step)

    def add_elements(self, entry: Mapping[str, Any]) -> None:
        """Add an entry of a row's column `elements`."""
        self.elements[entry["node"], "", ""] += entry["count"] - len(entry["dropped"])
        for dropped in entry["dropped"]:
            self.elements[entry["node"], dropped["outcome"], dropped["reason"]] += 1

    def cost(self, end: End, node: str) -> Usage:
        """Return the usage of `node` by rows with this end, for the caller to add to."""
        return self.spent.setdefault(end, {}).setdefault(node, Usage())

    @property
    def ends(self) -> list[tuple[End, int]]:
        """Every end with its number of rows, sorted."""
        records = [(End(outcome), rows) for outcome, rows in self.outcomes.items() if outcome not in DROPPED]
        return sorted([*records, *((End(*key), rows) for key, rows in self.reasons.items())])

    @property
    def costs(self) -> dict[str, Usage]:
        """Usage by node, of all rows."""
        usage: dict[str, Usage] = {}
        for nodes in self.spent.values():
            for node, spent in nodes.items():
                usage.setdefault(node, Usage()).merge(spent)
        return usage

    @property
    def rows(self) -> int:
        """Number of rows that have ended."""
        return self.outcomes.total()

    @property
    def reply_tokens(self) -> int:
        """Output tokens of all models."""
        return sum(usage.reply_tokens for usage in self.costs.values())
