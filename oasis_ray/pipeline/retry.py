"""Retry: asks a pool again when an engine is lost, until the row itself is found to be the cause."""

import asyncio
from dataclasses import dataclass, field

from oasis_ray.errors import EngineLostError, RowError, RunError, ServerFailedError
from oasis_ray.pipeline.coordinator import Coordinator
from oasis_ray.pipeline.node import Asked
from oasis_ray.pipeline.poison import Verdict
from oasis_ray.types import Call, Reply

PATIENCE_S = 0.5  # between two questions whether it is a suspected row's turn


@dataclass
class _Flying:
    """The requests of a row that are in flight, and how many engines it has lost."""

    requests: int = 0
    losses: int = 0


@dataclass(frozen=True)
class RetryingPool:
    """A pool with retries. `place` is its name, by which the coordinator counts its losses.

    A row may have many requests in flight. An engine that is lost with several of them is one loss, and the row is
    cleared only when the last of them has been answered.
    """

    place: str
    pool: Asked
    coordinator: Coordinator
    flying: dict[str, _Flying] = field(default_factory=dict)

    async def ask(self, call: Call) -> Reply:
        """Answer one call. A call is a pure function of row, node and seed, so it can be retried.

        Raises RowError `poison` where every engine that worked on this row was lost, RunError where engines are lost
        row after row, and whatever else the pool raises.
        """
        verdict: Verdict = "free"
        row = self.flying.setdefault(call.row, _Flying())
        row.requests += 1
        try:
            while True:
                losses = row.losses
                try:
                    reply = await self.pool.ask(call)
                except EngineLostError as error:
                    if losses == row.losses:  # else another request of the row has reported this loss
                        row.losses += 1
                        await self.coordinator.lost(self.place, call.row)
                    verdict = await turn(self.coordinator, self.place, call.row)
                    blame(verdict, f"pool '{self.place}'", error)
                else:
                    if verdict == "trial" and row.requests == 1:
                        self.coordinator.cleared(self.place, call.row)
                    return reply
        finally:
            row.requests -= 1
            if not row.requests:
                self.flying.pop(call.row, None)


async def turn(coordinator: Coordinator, place: str, row: str) -> Verdict:
    """Return the verdict on a row, once it is no longer `wait`."""
    while True:
        verdict: Verdict = await coordinator.verdict(place, row)
        if verdict != "wait":
            return verdict
        await asyncio.sleep(PATIENCE_S)


def blame(verdict: Verdict, place: str, lost: EngineLostError | str) -> None:
    """Return if the row may be tried again.

    Raises RowError (`poison`, or `server_failed` for a server), or RunError where the place itself is faulty.
    """
    if isinstance(lost, ServerFailedError) and (verdict == "poison" or (verdict == "broken" and lost.healthy)):
        raise RowError("server_failed", str(lost))
    if verdict == "poison":
        message = (
            f"{place} failed every time it processed this row, most recently while no other suspected row was running: "
            f"{lost}"
        )
        raise RowError("poison", message)
    if verdict == "broken":
        raise RunError(f"{place} failed on several different rows, so no single row is the cause: {lost}")
