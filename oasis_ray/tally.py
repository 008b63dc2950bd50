"""What a run has done so far: rows by fate, node and reason, and tokens and seconds by node.

While a run goes on, an actor keeps a tally of what the segments report. When it has ended, the same tally is taken
from its parts, which is what the manifest and every later question rest on.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ray

from oasis_ray.ledger import read_parts
from oasis_ray.rows import Fate

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


@ray.remote(num_cpus=0, max_concurrency=1)
class TallyActor:
    """The tally of a run that goes on. A worker that is lost may be counted twice; the parts are not."""

    def __init__(self) -> None:
        self._tally = Tally()

    def add(self, rows: list[Told]) -> None:
        """Count ended rows."""
        self._tally.add(rows)

    def read(self) -> Tally:
        """The tally so far."""
        return self._tally


def of_run(folder: str) -> Tally:
    """The tally of what a run folder holds."""
    tally = Tally()
    for fate in Fate:
        ends = ["node", "reason"] if fate in (Fate.REJECTED, Fate.FAILED) else []
        for table in read_parts(folder, fate, ["lineage", *ends]):
            for row in table.to_pylist():
                tally.add([(fate, row.get("node"), row.get("reason"), row["lineage"])])
    return tally
