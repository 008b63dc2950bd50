"""The coordinator: how workers and the driver of a run reach its watch (`watch`), in this process or on a cluster."""

# ruff: noqa: D102  (the methods are documented by `watch.CoordinatorState`)

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
    `draining`, `turn`, `drain`, `view` and `events` are for threads: they wait for the answer, and raise RunError where
    none comes within half a minute. `watch.CoordinatorState` says what each of them means.
    """

    async def begin(self, rows: list[str]) -> list[str] | None: ...

    async def lost(self, place: str, row: str) -> None: ...

    async def verdict(self, place: str, row: str) -> Verdict: ...

    def cleared(self, place: str, row: str) -> None: ...

    def ended(
        self,
        rows: list[str],
        told: list[EndedRow],
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
    """A watch in this process, which the threads of a run take turns to use."""

    def __init__(self, watch: CoordinatorState | None = None) -> None:
        self._watch, self._lock = watch or CoordinatorState(), threading.RLock()

    async def begin(self, rows: list[str]) -> list[str] | None:
        with self._lock:
            return self._watch.begin(rows)

    async def lost(self, place: str, row: str) -> None:
        with self._lock:
            self._watch.lost(place, row)

    async def verdict(self, place: str, row: str) -> Verdict:
        with self._lock:
            return self._watch.verdict(place, row)

    def cleared(self, place: str, row: str) -> None:
        with self._lock:
            self._watch.cleared(place, row)

    def ended(
        self,
        rows: list[str],
        told: list[EndedRow],
        failed: Sequence[tuple[str, str, str]],
        waiting: int,
        seconds: float,
    ) -> None:
        with self._lock:
            self._watch.ended(rows, told, failed, waiting, seconds)

    def stand(self, worker: str, steps: int, standing: list[RowsAtNode]) -> None:
        with self._lock:
            self._watch.stand(worker, steps, standing)

    def fail(self, error: str) -> None:
        with self._lock:
            self._watch.fail(error)

    def draining(self) -> bool:
        return self._watch.draining()

    def turn(self) -> None:
        with self._lock:
            self._watch.turn()

    def drain(self) -> None:
        with self._lock:
            self._watch.drain()

    def view(self) -> Snapshot:
        with self._lock:
            return deepcopy(self._watch.view())

    def events(self, after: int) -> list[Event]:
        with self._lock:
            return self._watch.events(after)
