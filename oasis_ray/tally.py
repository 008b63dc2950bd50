"""What a run has done so far: rows by fate, node and reason, and the tokens and seconds that they took, node by node.

While a run goes on, its watch keeps a tally of what the workers report. When it has ended, the same tally is taken
from its parts, which is what the manifest and every later question rest on.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.ledger import read_parts
from oasis_ray.rows import Fate

SUMS = ("prompt_tokens", "cached_tokens", "reply_tokens", "seconds")
Told = tuple[str, str | None, str | None, list[Mapping[str, Any]]]
SENT_AWAY = (Fate.REJECTED, Fate.FAILED)


@dataclass
class Cost:
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

    def merge(self, other: "Cost") -> None:
        """Count what `other` has counted."""
        self.requests += other.requests
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class End(NamedTuple):
    """Where rows ended: their fate and, where a node sent them away, the node and the reason."""

    fate: str
    node: str = ""
    reason: str = ""


@dataclass
class Tally:
    """Counts of ended rows and of what they cost: `spent` by where they ended, and by the node that asked."""

    fates: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    spent: dict[End, dict[str, Cost]] = field(default_factory=dict)

    def add(self, rows: Iterable[Told]) -> None:
        """Count ended rows: fate, node and reason (where they were sent away), lineage."""
        for fate, node, reason, lineage in rows:
            self.fates[str(fate)] += 1
            if reason:
                self.reasons[str(fate), node or "", reason] += 1
            # A caption keeps the reason for which it left the main route; it ended well all the same.
            end = End(str(fate), node or "", reason or "") if fate in SENT_AWAY else End(str(fate))
            for step in lineage:
                self.cost(end, step["node"]).add(step)

    def cost(self, end: End, node: str) -> Cost:
        """What `node` asked for rows that ended so, to be added to."""
        return self.spent.setdefault(end, {}).setdefault(node, Cost())

    @property
    def ends(self) -> list[tuple[End, int]]:
        """Where rows have ended, and how many."""
        well = [(End(fate), rows) for fate, rows in self.fates.items() if fate not in SENT_AWAY]
        return sorted([*well, *((End(*key), rows) for key, rows in self.reasons.items() if key[0] in SENT_AWAY)])

    @property
    def costs(self) -> dict[str, Cost]:
        """What each node asked of its pool, for all rows."""
        found: dict[str, Cost] = {}
        for nodes in self.spent.values():
            for node, cost in nodes.items():
                found.setdefault(node, Cost()).merge(cost)
        return found

    @property
    def rows(self) -> int:
        """Rows that have ended."""
        return self.fates.total()

    @property
    def reply_tokens(self) -> int:
        """Tokens that all models wrote."""
        return sum(cost.reply_tokens for cost in self.costs.values())


def of_run(folder: str) -> Tally:
    """The tally of what a run folder holds."""
    tally = Tally()
    for fate in Fate:
        ends = ["node", "reason"] if fate in SENT_AWAY else []
        for table in read_parts(folder, fate, ["lineage", *ends]):
            tally.fates[str(fate)] += table.num_rows
            if ends:
                for place in table.group_by(ends).aggregate([([], "count_all")]).to_pylist():
                    tally.reasons[str(fate), place["node"] or "", place["reason"]] += place["count_all"]
            lineage = table.column("lineage").combine_chunks()
            steps = pa.Table.from_struct_array(lineage.flatten()).rename_columns({"node": "asked"})
            rows = pc.list_parent_indices(lineage)
            for name in ends:
                steps = steps.append_column(name, table.column(name).combine_chunks().take(rows))
            sums = [([], "count_all"), *((name, "sum") for name in SUMS)]
            for one in steps.group_by(["asked", *ends]).aggregate(sums).to_pylist():
                found = Cost(one["count_all"], *(one[f"{name}_sum"] for name in SUMS))
                end = End(str(fate), *(one[name] or "" for name in ends))
                tally.cost(end, one["asked"]).merge(found)
    return tally
