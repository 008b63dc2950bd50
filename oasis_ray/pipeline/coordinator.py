"""Coordinator: knows which rows of a run are in flight. Workers and the driver reach it here or as an actor."""

# ruff: noqa: D102  (the methods are documented by `CoordinatorState`)

import threading
from collections.abc import Sequence
from copy import deepcopy
from typing import Protocol

from oasis_ray.output.counts import EndedRow
from oasis_ray.pipeline.coordinator_state import CoordinatorState
from oasis_ray.pipeline.poison import Verdict
from oasis_ray.pipeline.snapshot import Event, RowsAtNode, Snapshot


class Coordinator(Protocol):
    """One run's coordinator.

    Workers await `begin`, `lost` and `verdict` in their event loop; `cleared`, `ended`, `stand` and `fail` don't wait.
    `draining`, `turn`, `drain`, `view` and `events` are for threads: they wait for the answer, and raise RunError after
    30 seconds without one. `CoordinatorState` documents each method.
    """

    async def begin(self, rows: list[str]) -> list[str] | None: ...

    async def lost(self, place: str, row: str) -> None: ...

    async def verdict(self, place: str, row: str) -> Verdict: ...

    def cleared(self, place: str, row: str) -> None: ...

    def ended(
        self,
        rows: list[str],
        counted: list[EndedRow],
        failed: Sequence[tuple[str, str, str]],
        waiting: int,
        seconds: float,
    ) -> None: ...

    def stand(self, worker: str, steps: int, standing: list[RowsAtNode]) -> None: ...

    def fail(self, error: str) -> None: ...

    def draining(self) -> bool: ...

    def turn(self) -> None: ...

    def drain(self) -> None: ...

    def view(self) -> Snapshot: ...

    def events(self, after: int) -> list[Event]: ...


class LocalCoordinator:
    """A coordinator in this process, used by the threads of a run one at a time."""

    def __init__(self, state: CoordinatorState | None = None) -> None:
        self._state, self._lock = state or CoordinatorState(), threading.RLock()

    async def begin(self, rows: list[str]) -> list[str] | None:
        with self._lock:
            return self._state.begin(rows)

    async def lost(self, place: str, row: str) -> None:
        with self._lock:
            self._state.lost(place, row)

    async def verdict(self, place: str, row: str) -> Verdict:
        with self._lock:
            return self._state.verdict(place, row)

    def cleared(self, place: str, row: str) -> None:
        with self._lock:
            self._state.cleared(place, row)

    def ended(
        self,
        rows: list[str],
        counted: list[EndedRow],
        failed: Sequence[tuple[str, str, str]],
        waiting: int,
        seconds: float,
    ) -> None:
        with self._lock:
            self._state.ended(rows, counted, failed, waiting, seconds)

    def stand(self, worker: str, steps: int, standing: list[RowsAtNode]) -> None:
        with self._lock:
            self._state.stand(worker, steps, standing)

    def fail(self, error: str) -> None:
        with self._lock:
            self._state.fail(error)

    def draining(self) -> bool:
        return self._state.draining()

    def turn(self) -> None:
        with self._lock:
            self._state.turn()

    def drain(self) -> None:
        with self._lock:
            self._state.drain()

    def view(self) -> Snapshot:
        with self._lock:
            return deepcopy(self._state.view())

    def events(self, after: int) -> list[Event]:
        with self._lock:
            return self._state.events(after)
