"""The coordinator of a run on a cluster: an actor on the driver's node."""

# ruff: noqa: D102  (the methods are documented by `CoordinatorState`)

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from oasis_ray.cluster.connection import on_this_node
from oasis_ray.errors import RunError
from oasis_ray.output.counts import EndedRow
from oasis_ray.pipeline.coordinator_state import CoordinatorState
from oasis_ray.pipeline.poison import Verdict
from oasis_ray.pipeline.snapshot import Event, RowsAtNode, Snapshot

TIMEOUT_S = 30.0


def start_coordinator(name: str) -> "RemoteCoordinator":
    """Start the actor under this name on the driver's node, without which there would be no run.

    If its process is lost, a new one starts with an empty state.
    """
    actor = ray.remote(CoordinatorState).options(
        name=name, num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=on_this_node()
    )
    return RemoteCoordinator(actor.remote())


@dataclass(frozen=True)
class RemoteCoordinator:
    """The actor's handle as a `coordinator.Coordinator`; it can be sent to any process of the cluster."""

    actor: Any

    async def begin(self, rows: list[str]) -> list[str] | None:
        suspects: list[str] | None = await self.actor.begin.remote(rows)
        return suspects

    async def lost(self, place: str, row: str) -> None:
        await self.actor.lost.remote(place, row)

    async def verdict(self, place: str, row: str) -> Verdict:
        found: Verdict = await self.actor.verdict.remote(place, row)
        return found

    def cleared(self, place: str, row: str) -> None:
        self.actor.cleared.remote(place, row)

    def ended(
        self,
        rows: list[str],
        counted: list[EndedRow],
        failed: Sequence[tuple[str, str, str]],
        waiting: int,
        seconds: float,
    ) -> None:
        self.actor.ended.remote(rows, counted, failed, waiting, seconds)

    def stand(self, worker: str, steps: int, standing: list[RowsAtNode]) -> None:
        self.actor.stand.remote(worker, steps, standing)

    def fail(self, error: str) -> None:
        self.actor.fail.remote(error)

    def draining(self) -> bool:
        return bool(_get(self.actor.draining.remote()))

    def turn(self) -> None:
        _get(self.actor.turn.remote())

    def drain(self) -> None:
        self.actor.drain.remote()

    def view(self) -> Snapshot:
        found: Snapshot = _get(self.actor.view.remote())
        return found

    def events(self, after: int) -> list[Event]:
        found: list[Event] = _get(self.actor.events.remote(after))
        return found


def _get(reference: Any) -> Any:
    try:
        return ray.get(reference, timeout=TIMEOUT_S)
    except RayError as error:  # its process was lost and comes back, or the cluster is going
        raise RunError(f"the run's coordinator does not answer: {str(error).strip().splitlines()[0]}") from None
