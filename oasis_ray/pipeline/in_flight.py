"""In-flight limit: how many rows a worker carries at once.

The limit is the job's `rows_in_flight`, or less where the KV caches of the engines hold fewer rows. With more rows than
fit, a row's image is evicted between two of its requests and has to be encoded again, which costs more than the larger
batch gains. Each reply says how many rows like its own the engine can hold.
"""

import asyncio
import math
from dataclasses import dataclass, field

from oasis_ray.pipeline.node import Asked
from oasis_ray.types import Call, Reply

LAST = 100  # requests that the running mean covers


@dataclass
class CapacityGauge:
    """A pool of at most `engines` engines, with a running mean of how many rows they can hold."""

    pool: Asked
    engines: int
    share: float = 0.0  # of an engine's cache that one row takes, over the last requests with an image; 0: not known

    async def ask(self, call: Call) -> Reply:
        """Answer one call."""
        reply = await self.pool.ask(call)
        if call.request.images and reply.holds:
            self.share += (1 / reply.holds - self.share) / (LAST if self.share else 1)
        return reply

    @property
    def rows(self) -> float:
        """The number of rows that all engines together can hold, once all of them are up."""
        return self.engines / self.share if self.share else math.inf


@dataclass
class InFlightLimit:
    """The in-flight limit of one of `workers` workers, which together carry at most `most` rows."""

    most: int
    workers: int
    gauges: list[CapacityGauge] = field(default_factory=list)
    taken: int = 0

    def __post_init__(self) -> None:
        self._left = asyncio.Event()

    def gauge(self, pool: Asked, engines: int) -> CapacityGauge:
        """Return the pool with a gauge, which from now on lowers this limit."""
        self.gauges.append(CapacityGauge(pool, engines))
        return self.gauges[-1]

    @property
    def count(self) -> int:
        """The limit now. Rows that are in flight already stay so where it falls."""
        return max(1, int(min([self.most, *(gauge.rows for gauge in self.gauges)]) / self.workers))

    async def free(self) -> None:
        """Wait until fewer rows than the limit are in flight."""
        while self.taken >= self.count:
            self._left.clear()
            await self._left.wait()

    async def take(self) -> None:
        """Take a slot for a row, as soon as one is free."""
        await self.free()
        self.taken += 1

    def leave(self) -> None:
        """Release the slot of a row."""
        self.taken -= 1
        self._left.set()
