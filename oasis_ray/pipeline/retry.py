"""A pool as rows ask it: an engine that is lost is asked again, and a row that loses one after the other is stopped."""

import asyncio
from dataclasses import dataclass

from oasis_ray.errors import EngineLostError, RowError, RunError, ServerFailedError
from oasis_ray.pipeline.coordinator import Coordinator
from oasis_ray.pipeline.node import Asked
from oasis_ray.pipeline.poison import Verdict
from oasis_ray.types import Call, Reply

PATIENCE_S = 0.5  # between two looks whether a suspect's turn has come


@dataclass(frozen=True)
class RetryingPool:
    """The pool `place`, with the coordinator that knows who else was there."""

    place: str
    pool: Asked
    coordinator: Coordinator

    async def ask(self, call: Call) -> Reply:
        """Answer one call. A call is a pure function of row, node and seed, so it may be asked again.

        Raises RowError `poison` where this row has lost every engine that worked on it, RunError where no row at all
        gets through, and whatever else the pool raises.
        """
        verdict: Verdict = "free"
        while True:
            try:
                reply = await self.pool.ask(call)
            except EngineLostError as error:
                await self.coordinator.lost(self.place, call.row)
                verdict = await turn(self.coordinator, self.place, call.row)
                blame(verdict, f"pool '{self.place}'", error)
            else:
                if verdict == "trial":
                    self.coordinator.cleared(self.place, call.row)
                return reply


async def turn(coordinator: Coordinator, place: str, row: str) -> Verdict:
    """The verdict on a row that may be a suspect, once it is its turn."""
    while True:
        verdict: Verdict = await coordinator.verdict(place, row)
        if verdict != "wait":
            return verdict
        await asyncio.sleep(PATIENCE_S)


def blame(verdict: Verdict, place: str, lost: EngineLostError | str) -> None:
    """Return where the row may be tried again.

    Raises RowError (`poison`, or `server_failed` where it was a server), or RunError where the place is broken.
    """
    if isinstance(lost, ServerFailedError) and (verdict == "poison" or (verdict == "broken" and lost.healthy)):
        raise RowError("server_failed", str(lost))
    if verdict == "poison":
        told = f"{place} was lost each time it worked on this row, the last times on no other suspect: {lost}"
        raise RowError("poison", told)
    if verdict == "broken":
        raise RunError(f"{place} was lost on row after row, so it is not the rows: {lost}")
