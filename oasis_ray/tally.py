"""What a run has done so far: rows by fate, node and reason, and tokens and seconds by node.

While a run goes on, its watch keeps a tally of what the workers report. When it has ended, the same tally is taken
from its parts, which is what the manifest and every later question rest on.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from oasis_ray.ledger import read_parts
from oasis_ray.rows import Fate

SUMS = ("prompt_tokens", "cached_tokens", "reply_tokens", "seconds")
Told = tuple[str, str | None, str | None, list[Mapping[str, Any]]]


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
        self.prompt_tokens += step["prompt_tokens"]
        self.cached_tokens += step["cached_tokens"]
        self.reply_tokens += step["reply_tokens"]
        self.seconds += step["seconds"]


@dataclass
class Tally:
    """Counts of ended rows and of what they cost."""

    fates: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    costs: dict[str, Cost] = field(default_factory=dict)

    def add(self, rows: Iterable[Told]) -> None:
        """Count ended rows: fate, node and reason (where they were sent away), lineage."""
        for fate, node, reason, lineage in rows:
            self.fates[str(fate)] += 1
            if reason:
                self.reasons[str(fate), node or "", reason] += 1
            for step in lineage:
                self.costs.setdefault(step["node"], Cost()).add(step)

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
        ends = ["node", "reason"] if fate in (Fate.REJECTED, Fate.FAILED) else []
        for table in read_parts(folder, fate, ["lineage", *ends]):
            tally.fates[str(fate)] += table.num_rows
            if ends:
                for place in table.group_by(ends).aggregate([([], "count_all")]).to_pylist():
                    tally.reasons[str(fate), place["node"] or "", place["reason"]] += place["count_all"]
            steps = pa.Table.from_struct_array(table.column("lineage").combine_chunks().flatten())
            for node in (
                steps.group_by("node").aggregate([([], "count_all"), *((name, "sum") for name in SUMS)]).to_pylist()
            ):
                cost = tally.costs.setdefault(node["node"], Cost())
                cost.requests += node["count_all"]
                for name in SUMS:
                    setattr(cost, name, getattr(cost, name) + node[f"{name}_sum"])
    return tally
