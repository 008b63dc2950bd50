"""Places for rows in a worker: as many as the job says, or fewer where the engines' caches have no room for so many.

A row that waits for its next request keeps its picture in its engine's KV cache only as long as there is room. With
more rows than fit, each request finds its picture gone and reads it again: that costs more than it gains that more
replies are written side by side. Engines say with each reply how many rows of its kind they hold.
"""

import asyncio
import math
from dataclasses import dataclass, field

from oasis_ray.pipeline.node import Asked
from oasis_ray.types import Call, Reply

LAST = 100  # requests, over which a mean is taken


@dataclass
class CapacityGauge:
    """A pool, of so many `engines` at most, that notes how many rows its engines hold."""

    pool: Asked
    engines: int
    share: float = 0.0  # of an engine's cache that a row takes, by the last requests with a picture; 0: not known

    async def ask(self, call: Call) -> Reply:
        """Answer one call."""
        reply = await self.pool.ask(call)
        if call.request.images and reply.holds:
            self.share += (1 / reply.holds - self.share) / (LAST if self.share else 1)
        return reply

    @property
    def rows(self) -> float:
        """The rows that all engines hold, once all of them are there."""
        return self.engines / self.share if self.share else math.inf


@dataclass
class InFlightLimit:
    """The places of one of `workers`: together they have as many as the job says, or as there is room for."""

    most: int
    workers: int
    rooms: list[CapacityGauge] = field(default_factory=list)
    taken: int = 0

    def __post_init__(self) -> None:
        self._left = asyncio.Event()

    def room(self, pool: Asked, engines: int) -> CapacityGauge:
        """The pool, which from now on bounds these places by what its engines hold."""
        self.rooms.append(CapacityGauge(pool, engines))
        return self.rooms[-1]

    @property
    def count(self) -> int:
        """How many places there are now; those that rows have taken stay theirs."""
        return max(1, int(min([self.most, *(room.rows for room in self.rooms)]) / self.workers))

    async def free(self) -> None:
        """Wait until a place is free."""
        while self.taken >= self.count:
            self._left.clear()
            await self._left.wait()

    async def take(self) -> None:
        """Take a place as soon as one is free."""
        await self.free()
        self.taken += 1

    def leave(self) -> None:
        """Give a place back."""
        self.taken -= 1
        self._left.set()
