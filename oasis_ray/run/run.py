"""One run of a job: open or take up its folder, start the pools, stream the rows, close the books."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from oasis_ray.cost.bill import bill, spent_by
from oasis_ray.cost.probe import graded
from oasis_ray.engine.model_files import pin_revisions
from oasis_ray.errors import JobError, OasisError, RunError, StoppedError, first_cause
from oasis_ray.input.shards import Shards
from oasis_ray.job.job import Job
from oasis_ray.job.load import read_prices
from oasis_ray.output.checkpoint import clear, place_of, read_waiting
from oasis_ray.output.counts import Counts
from oasis_ray.output.ledger import counts_of, ended_ids
from oasis_ray.output.manifest import describe, node_digests, now, summary, write_manifest
from oasis_ray.output.parts import read_parts
from oasis_ray.output.repair import repair
from oasis_ray.pipeline.coordinator import Coordinator
from oasis_ray.pipeline.node import Asked
from oasis_ray.pool.placement import on_gpus
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.run.executor import Executor, Work
from oasis_ray.run.lock import locked
from oasis_ray.run.phases import Phase, due, plan
from oasis_ray.run.reporter import Reporter
from oasis_ray.run.resume import open_folder, open_input, recorded
from oasis_ray.run.watchdog import Watchdog
from oasis_ray.storage import check_target, store_errors
from oasis_ray.types import Outcome


def executor_of(job: Job) -> Executor:
    """Where a job is executed. Ray is imported only for jobs that use it."""
    if job.executor == "local":
        from oasis_ray.run.local_executor import LocalExecutor

        return LocalExecutor()
    from oasis_ray.run.ray_executor import RayExecutor

    return RayExecutor()


@dataclass
class Run:
    """A run as the terminal watches it: `step` since `since`, and while rows travel its `coordinator`.

    `retry` names failed rows that are tried again: a reason, or "" for all of them. With `accept_changes` a folder that
    holds a run of another make is taken up all the same, and the change is written down.
    """

    job: Job
    recipe: Recipe
    retry: str | None = None
    accept_changes: bool = False
    step: str = "reading the input"
    rows: int = 0
    before: int = 0
    since: float = field(default_factory=time.monotonic)
    travelling: float | None = None
    phase: Phase | None = None
    waiting: int = 0
    coordinator: Coordinator | None = None
    notes: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.prices = read_prices(self.job.prices) if self.job.prices else None
        self.executor = executor_of(self.job)
        self._tally = Counts()

    @property
    def folder(self) -> str:
        """The run folder."""
        return self.job.output.path.rstrip("/")

    def stop(self) -> None:
        """Let the rows in flight end, begin no other, and end."""
        self.stopping.set()

    def tally(self) -> Counts:
        """What this session has done so far."""
        if self.coordinator is not None:
            with suppress(RunError):  # one that does not answer now: what it said before is right, if old
                view = self.coordinator.view()
                self.waiting, self._tally = view.waiting, view.tally
        return self._tally

    def execute(self, on_step: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
        """Run the job to its end; the manifest of what was done.

        A folder that holds a part of this same run is taken up where it stands. Raises JobError, FitError, RunError, or
        StoppedError where the run was ended before its rows had.
        """
        check_target("output.path", self.folder)
        with locked(self.folder):
            return self._execute(on_step)

    def _execute(self, on_step: Callable[[str], None]) -> dict[str, Any]:
        def step(text: str) -> None:
            self.step, self.since = text, time.monotonic()
            on_step(text)

        step("reading the input")
        with store_errors("output.path", self.folder, JobError):
            before = recorded(self.folder)
        shards = open_input(self.job, before)
        self.rows = shards.rows
        with store_errors("output.path", self.folder, JobError):
            job = self.job.model_copy(update={"pools": pin_revisions(self.job.pools, before)})
            listing = shards.listing
            fresh = describe(
                self.job,
                self.recipe,
                node_digests(job, self.recipe),
                shards.rows,
                job.pools,
                naming=listing.naming,
                from_run=listing.run,
            )
            found = open_folder(self.folder, shards, fresh, retry=self.retry, accept_changes=self.accept_changes)
        manifest, todo, self.before = found.manifest, found.todo, found.before
        digests = {node["name"]: node["digest"] for node in manifest["nodes"]}  # an earlier version's, on resuming
        passed = [f"input.path: passed over {listing}"] if listing.passed_over else []
        self.notes = [*passed, *found.notes]
        session: dict[str, Any] = {"name": uuid4().hex[:8], "started": now(), "executor": job.executor}
        if not todo.groups:
            step("closing the books")
            with store_errors("output.path", self.folder):
                self._close(manifest, session, None)
            return manifest
        if any(pool.backend == "openai" for pool in job.pools.values()):
            from oasis_ray.engine.server import check_servers  # its client takes a second to import

            step("asking the servers")
            check_servers(job.pools)
        with store_errors(
            "output.path", self.folder, JobError
        ):  # before anything costs: is the output to be written to?
            write_manifest(self.folder, manifest)
        step("joining the cluster" if job.executor == "ray" else "looking at this machine")
        try:
            gpus, phases = self._fitted()
        except OasisError as error:
            self._close(manifest, session, error)
            raise
        with Reporter(
            self.job, self.recipe, session["name"], self.executor, gpus=gpus, rows=self.rows, before=self.before,
            notes=self.notes, prices=self.prices,
        ) as beat:  # fmt: skip

            def announce(text: str) -> None:
                step(text)
                beat.step(text)

            why = self._work(job, todo, phases, digests, session, beat, announce)
            announce("closing the books")
            with store_errors("output.path", self.folder):
                self._close(manifest, session, why)
            if why is not None:
                raise why
        return manifest

    def _fitted(self) -> tuple[dict[str, bool], tuple[Phase, ...]]:
        """Come to where the run is executed; for each pool whether it runs on GPUs, and the phases. Raises FitError."""
        self.executor.join()
        have = self.executor.nodes()
        gpus = on_gpus(self.job.pools, have)
        return gpus, plan(self.job, self.recipe, gpus, have, grows=self.executor.grows())

    def _work(
        self, job: Job, todo: Shards, phases: tuple[Phase, ...], digests: dict[str, str], session: dict[str, Any],
        beat: Reporter, step: Callable[[str], None],
    ) -> BaseException | None:  # fmt: skip
        """Phase by phase, start the engines and stream the rows; what ended this before the rows had, if anything."""
        why: BaseException | None = None
        pools: dict[str, Asked] = {}
        session |= {"loads": dict.fromkeys(job.pools, 0), "seconds_loading": 0.0, "seconds": 0.0}
        try:
            failed_before = sum(part.num_rows for part in read_parts(self.folder, Outcome.FAILED, ["id"]))
            self.coordinator = beat.coordinator = self.executor.start_coordinator(f"watch-oasis-{beat.session}")
            for phase in phases:
                left = todo if phase.number == 1 else todo.without(ended_ids(self.folder))
                left = due(left, read_waiting(self.folder), self.recipe, phase)
                if not left.groups:
                    continue  # no row has come to it, or all have passed it: nothing is loaded
                self.phase = beat.phase = phase if phase.of > 1 else None
                self.coordinator.turn()
                with _timed(session, "seconds_loading"):
                    self._change_engines(job, phase, pools, session["loads"], beat, step)
                step("working")
                with _timed(session, "seconds"):
                    name = beat.session if phase.of == 1 else f"{beat.session}-{phase.number}"
                    waiting = None if phase.number == phase.of else place_of(phase.number + 1)
                    args = (left, self.job, self.recipe, pools, digests, self.coordinator, name, waiting)
                    self._stream(Work(*args), failed_before)
        except BaseException as error:
            why = error
        session |= beat.measured()
        self.phase = beat.phase = None
        step("stopping the engines")
        self.executor.stop_pools(pools)
        return why

    def _change_engines(
        self, job: Job, phase: Phase, pools: dict[str, Asked], loads: dict[str, int], beat: Reporter,
        step: Callable[[str], None],
    ) -> None:  # fmt: skip
        """Stop the pools that this phase does without, and start those that it wants; the others stay up."""
        if gone := {name: pools.pop(name) for name in pools.keys() - phase.pools}:
            step("stopping the engines")
            self.executor.stop_pools(gone)
        if self.stopping.is_set():
            raise StoppedError("the run was told to stop")
        step("starting the engines")
        fresh = {name: pool for name, pool in job.pools.items() if name in phase.pools and name not in pools}
        labels = {"run": beat.run, "session": beat.session}
        pools |= self.executor.start_pools(fresh, f"oasis-{beat.session}", gpus=beat.gpus, labels=labels)
        for name in fresh:
            loads[name] += 1

    def _close(self, manifest: dict[str, Any], session: dict[str, Any], why: BaseException | None) -> None:
        """Write down what the parts hold, whatever came."""
        self.notes += repair(self.folder)[1]
        tally = counts_of(self.folder)
        session |= {"ended": now(), "rows": tally.rows - self.before}
        if why is not None:
            session["stopped"] = f"{type(why).__name__}: {why}"
        manifest["sessions"].append(session)
        state = "stopped" if why else "done" if tally.rows == self.rows else "incomplete"
        if state == "done":
            clear(self.folder)
        spent, currency = spent_by(manifest["sessions"], self.prices), self.prices.currency if self.prices else None
        made = bill(tally, self.recipe.pool_of, spent, currency)
        manifest |= {"state": state, **summary(tally), "bill": made.model_dump(mode="json")}
        if state == "done" and (found := graded(self.folder, manifest)) is not None:
            manifest["forecast"] = found.model_dump(mode="json")
        write_manifest(self.folder, manifest)

    def _stream(self, work: Work, failed_before: int) -> None:
        self.travelling = self.travelling or time.monotonic()
        monitor = Watchdog(
            self.job,
            self.recipe,
            work.coordinator,
            failed_before,
            self.stopping,
            pools=lambda: self.executor.states(work.pools),
            impossible=lambda: self.executor.impossible(work.pools),
        )
        try:
            with monitor:
                self.executor.execute(work)
        except OasisError:
            raise
        except BaseException as error:
            if monitor.why is None and not isinstance(error, Exception):
                raise
            if monitor.why is None:
                raise RunError(f"the run stopped: {first_cause(error)}") from error
        if monitor.broken_off:
            self.notes.append(f"rows in flight did not end within {self.job.drain_s:g} s (drain_s) and are left to do")
        if monitor.why is None and (errors := work.coordinator.view().errors):
            raise RunError(errors[0])  # of the last second
        if monitor.why is not None:
            raise monitor.why


@contextmanager
def _timed(session: dict[str, Any], key: str) -> Iterator[None]:
    """Add the seconds that the block takes to `session[key]`."""
    began = time.monotonic()
    try:
        yield
    finally:
        session[key] = round(session[key] + time.monotonic() - began, 1)
