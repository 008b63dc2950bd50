"""A round of measuring: one way of working, on the pictures of one job; and the figures that are taken from it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from oasis_ray.output.outcomes import outcomes_in
from oasis_ray.output.parts import read_parts
from oasis_ray.recipe.recipe import Recipe

Steps = list[Mapping[str, Any]]


@dataclass
class Steady:
    """What processes used in the steady state: from when to when (seconds since 1970), and CPU-seconds by kind."""

    start: float
    end: float
    cpu: dict[str, float]


@dataclass
class Round:
    """When rows ended (seconds), how (outcome and lineage by id), and what processes used (CPU-seconds by kind)."""

    seconds: float
    moments: list[float]
    rows: dict[str, tuple[str, Steps]]
    cpu: dict[str, float] = field(default_factory=dict)
    steady: "Steady | None" = None
    memory: float = 0.0  # MiB: of the service as its last window begins, else when the last row has ended

    @property
    def accepted(self) -> set[str]:
        """The ids of accepted rows."""
        return {name for name, (outcome, _) in self.rows.items() if outcome == "accepted"}

    @property
    def steps(self) -> Steps:
        """All requests of all rows."""
        return [step for _, lineage in self.rows.values() for step in lineage]

    @property
    def ends(self) -> list[float]:
        """When the last request of each row was answered, in order; where none asks anything, when rows ended.

        `moments` of the service come batch by batch, which would be counted as a jump of so many rows.
        """
        last = [
            max(step["started"] + step["seconds"] for step in lineage) for _, lineage in self.rows.values() if lineage
        ]
        return sorted(last or self.moments)

    def rate(self, in_flight: int) -> float:
        """Rows a second in the steady state: without the first and the last window of rows in flight."""
        steady = self.ends[in_flight:-in_flight]
        return (len(steady) - 1) / (steady[-1] - steady[0])

    def whole_rate(self) -> float:
        """Rows a second from the first request to the last row."""
        return len(self.rows) / self.seconds

    def busy(self, nodes: Iterable[str]) -> float:
        """The share of the middle eight tenths of the time in which one of these nodes' requests was in an engine."""
        spans = sorted((s["started"], s["started"] + s["seconds"]) for s in self.steps if s["node"] in set(nodes))
        first, last = spans[0][0], max(end for _, end in spans)
        low, high = first + 0.1 * (last - first), first + 0.9 * (last - first)
        busy, reached = 0.0, low
        for start, end in spans:
            start, end = max(start, reached), min(end, high)
            if end > start:
                busy, reached = busy + end - start, end
        return busy / (high - low)

    def image_prefills(self, hook: str, nodes: Iterable[str]) -> float:
        """How often an image was read, for each image: tokens of the hook's prompt, which begins every other prompt
        with the image, that were not found in the cache, over all requests with the image.
        """
        read, named = 0.0, set(nodes)
        for _, lineage in self.rows.values():
            tokens = next((step["prompt_tokens"] for step in lineage if step["node"] == hook), 0)
            for step in lineage if tokens else ():
                read += (tokens - min(tokens, step["cached_tokens"])) / tokens if step["node"] in named else 0
        return read / sum(1 for _, lineage in self.rows.values() if lineage)

    def overhead(self, rest: float) -> float | None:
        """CPU-milliseconds a request in the steady state, of all processes but the models', above `rest` cores; None
        where the round was too short for one.
        """
        if (steady := self.steady) is None:
            return None
        requests = sum(1 for step in self.steps if steady.start <= step["started"] < steady.end)
        return 1000 * (steady.cpu["others"] - rest * (steady.end - steady.start)) / requests if requests else None

    def tokens(self) -> int:
        """Tokens read and written."""
        return sum(step["prompt_tokens"] + step["reply_tokens"] for step in self.steps)


def with_image(recipe: Recipe) -> list[str]:
    """The nodes that ask with the row's picture, the first of them first."""
    return [node.name for node in recipe.nodes if "source.image" in str(node.wires)]


def spread(values: list[float]) -> dict[str, float]:
    """The median of some figures, and the least and the most."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else sum(ordered[middle - 1 : middle + 1]) / 2
    return {"median": median, "least": ordered[0], "most": ordered[-1]}


def gaps(moments: list[float]) -> float:
    """The longest time in which no row ended."""
    return max((b - a for a, b in pairwise(sorted(moments))), default=0.0)


def rows_of(folder: str) -> dict[str, tuple[str, Any]]:
    """What a run folder holds: outcome and lineage of every row, by id."""
    return {
        row["id"]: (outcome, row["lineage"])
        for outcome in outcomes_in(folder)
        for table in read_parts(folder, outcome, ["id", "lineage"])
        for row in table.to_pylist()
    }
