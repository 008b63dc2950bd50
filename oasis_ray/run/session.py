"""Session: one start of a run, from its first engine to its last row."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from oasis_ray.errors import OasisError, RunError, StoppedError, first_cause
from oasis_ray.input.shards import Shards
from oasis_ray.output.checkpoint import read_waiting, waiting_folder
from oasis_ray.output.counts import Counts
from oasis_ray.output.ledger import ended_ids
from oasis_ray.output.parts import read_parts
from oasis_ray.pipeline.coordinator import Coordinator
from oasis_ray.pipeline.node import Asked
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.run.executor import Executor, Work
from oasis_ray.run.phases import Phase, due
from oasis_ray.run.progress_reporter import Reporter
from oasis_ray.run.resume import OpenedRun
from oasis_ray.run.watchdog import Watchdog
from oasis_ray.types import FAILED


@dataclass
class Session:
    """One session of a run.

    `record` is what the manifest will say of it. `working_since` is the time of the first row (monotonic seconds),
    `waiting` the number of rows that wait for a later phase. `announce` is called with each step that begins. Setting
    `stopping` drains the session.
    """

    opened: OpenedRun
    recipe: Recipe
    executor: Executor
    phases: tuple[Phase, ...]
    reporter: Reporter
    record: dict[str, Any]
    announce: Callable[[str], None]
    stopping: threading.Event
    working_since: float | None = None
    waiting: int = 0
    _counts: Counts = field(default_factory=Counts)
    _pools: dict[str, Asked] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The run folder."""
        return self.opened.job.output.folder

    def counts(self) -> Counts:
        """The rows that ended in this session so far, from the coordinator; its last answer where it gives none now."""
        if (coordinator := self.reporter.coordinator) is not None:
            with suppress(RunError):
                snapshot = coordinator.view()
                self.waiting, self._counts = snapshot.waiting, snapshot.counts
        return self._counts

    def run(self) -> None:
        """Start the engines and carry the rows, phase by phase, and stop the engines. Raises what ended it early."""
        todo, name = self.opened.todo, self.reporter.session
        self.record |= {"loads": dict.fromkeys(self.opened.job.pools, 0), "seconds_loading": 0.0, "seconds": 0.0}
        try:
            failed_before = sum(part.num_rows for part in read_parts(self.folder, FAILED, ["id"]))
            self.reporter.coordinator = coordinator = self.executor.start_coordinator(f"coordinator-oasis-{name}")
            for phase in self.phases:
                rows = todo if phase.number == 1 else todo.without(ended_ids(self.folder))
                rows = due(rows, read_waiting(self.folder), self.recipe, phase)
                if not rows.groups:
                    continue  # no row has reached this phase, or all have passed it: no engine is started
                self._run_phase(phase, rows, coordinator, failed_before)
        finally:
            self.record |= self.reporter.measured()
            self.reporter.phase = None
            self.announce("stopping the engines")
            self.executor.stop_pools(self._pools)

    def _run_phase(self, phase: Phase, rows: Shards, coordinator: Coordinator, failed_before: int) -> None:
        """Carry the rows that are due in one phase."""
        self.reporter.phase = phase if phase.of > 1 else None
        coordinator.turn()
        with self._timed("seconds_loading"):
            self._change_engines(phase)
        self.announce("working")
        session, opened = self.reporter.session, self.opened
        work = Work(
            rows, opened.job, self.recipe, self._pools, opened.digests, coordinator,
            session=session if phase.of == 1 else f"{session}-{phase.number}",
            waiting=None if phase.number == phase.of else waiting_folder(phase.number + 1),
        )  # fmt: skip
        with self._timed("seconds"):
            self._stream(work, failed_before)

    def _change_engines(self, phase: Phase) -> None:
        """Stop the pools that this phase does not use, and start those that it needs; the others stay up."""
        pools, reporter = self.opened.job.pools, self.reporter
        if unused := {name: self._pools.pop(name) for name in self._pools.keys() - phase.pools}:
            self.announce("stopping the engines")
            self.executor.stop_pools(unused)
        if self.stopping.is_set():
            raise StoppedError("the run was asked to stop")
        self.announce("starting the engines")
        needed = {name: pool for name, pool in pools.items() if name in phase.pools and name not in self._pools}
        labels = {"run": reporter.run, "session": reporter.session}
        self._pools |= self.executor.start_pools(needed, f"oasis-{reporter.session}", gpus=reporter.gpus, labels=labels)
        for name in needed:
            self.record["loads"][name] += 1

    def _stream(self, work: Work, failed_before: int) -> None:
        """Carry rows under the watchdog. Raises its reason, else the first failure of a worker."""
        self.working_since = self.working_since or time.monotonic()
        watchdog = Watchdog(
            work.job, self.recipe, work.coordinator, failed_before, self.stopping,
            pools=lambda: self.executor.states(work.pools),
            impossible=lambda: self.executor.impossible(work.pools),
        )  # fmt: skip
        try:
            with watchdog:
                self.executor.execute(work)
        except OasisError:
            raise
        except BaseException as error:
            if watchdog.why is None and not isinstance(error, Exception):
                raise
            if watchdog.why is None:
                raise RunError(f"the run stopped: {first_cause(error)}") from error
        if watchdog.broken_off:
            limit = f"{work.job.drain_s:g} s (drain_s)"
            drained = f"some rows in flight did not finish within {limit}; the next session will process them"
            self.reporter.notes.append(drained)
        if watchdog.why is None and (errors := work.coordinator.view().errors):
            raise RunError(errors[0])  # of the last second
        if watchdog.why is not None:
            raise watchdog.why

    @contextmanager
    def _timed(self, key: str) -> Iterator[None]:
        """Add the seconds that the block takes to `record[key]`."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.record[key] = round(self.record[key] + time.monotonic() - began, 1)
