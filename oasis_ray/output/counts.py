"""Counts: rows by outcome, node and reason, and the tokens and seconds that they took, node by node.

While a run goes on, its watch keeps a tally of what the workers report. When it has ended, the same tally is taken
from its parts (`ledger.counts_of`), which is what the manifest and every later question rest on.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from oasis_ray.types import Outcome

SUMS = ("prompt_tokens", "cached_tokens", "reply_tokens", "seconds")
EndedRow = tuple[str, str | None, str | None, Sequence[Mapping[str, Any]]]
SENT_AWAY = (Outcome.REJECTED, Outcome.FAILED)


@dataclass
class Usage:
    """What a node asked of its pool: requests, tokens read (and of these from the cache), tokens written, seconds."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    reply_tokens: int = 0
    seconds: float = 0.0

    def add(self, step: Mapping[str, Any]) -> None:
        """Count one request of a row's lineage."""
        self.requests += 1
        for name in SUMS:
            setattr(self, name, getattr(self, name) + step[name])

    def merge(self, other: "Usage") -> None:
        """Count what `other` has counted."""
        self.requests += other.requests
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class End(NamedTuple):
    """Where rows ended: their outcome and, where a node sent them away, the node and the reason."""

    outcome: str
    node: str = ""
    reason: str = ""


@dataclass
class Counts:
    """Counts of ended rows and of what they cost: `spent` by where they ended, and by the node that asked."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    spent: dict[End, dict[str, Usage]] = field(default_factory=dict)

    def add(self, rows: Iterable[EndedRow]) -> None:
        """Count ended rows: outcome, node and reason (where they were sent away), lineage."""
        for outcome, node, reason, lineage in rows:
            self.outcomes[str(outcome)] += 1
            if reason:
                self.reasons[str(outcome), node or "", reason] += 1
            # A caption keeps the reason for which it left the main route; it ended well all the same.
            end = End(str(outcome), node or "", reason or "") if outcome in SENT_AWAY else End(str(outcome))
            for step in lineage:
                self.cost(end, step["node"]).add(step)

    def cost(self, end: End, node: str) -> Usage:
        """What `node` asked for rows that ended so, to be added to."""
        return self.spent.setdefault(end, {}).setdefault(node, Usage())

    @property
    def ends(self) -> list[tuple[End, int]]:
        """Where rows have ended, and how many."""
        well = [(End(outcome), rows) for outcome, rows in self.outcomes.items() if outcome not in SENT_AWAY]
        return sorted([*well, *((End(*key), rows) for key, rows in self.reasons.items() if key[0] in SENT_AWAY)])

    @property
    def costs(self) -> dict[str, Usage]:
        """What each node asked of its pool, for all rows."""
        found: dict[str, Usage] = {}
        for nodes in self.spent.values():
            for node, cost in nodes.items():
                found.setdefault(node, Usage()).merge(cost)
        return found

    @property
    def rows(self) -> int:
        """Rows that have ended."""
        return self.outcomes.total()

    @property
    def reply_tokens(self) -> int:
        """Tokens that all models wrote."""
        return sum(cost.reply_tokens for cost in self.costs.values())
