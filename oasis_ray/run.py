"""One run of a job: open or take up its folder, start the pools, stream the rows, close the books."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import ray

from oasis_ray import cluster
from oasis_ray.autoscaler import verdict
from oasis_ray.bill import bill, spent_by
from oasis_ray.changes import changes
from oasis_ray.errors import JobError, OasisError, RunError, StoppedError, first_cause
from oasis_ray.graph import BESIDE_A_WORKER, LIGHT_CPUS, build
from oasis_ray.handle import PoolHandle
from oasis_ray.heartbeat import Heartbeat
from oasis_ray.job import Job
from oasis_ray.ledger import ended_ids, mend, read_parts, take_back, tally_of, waits
from oasis_ray.load import read_prices
from oasis_ray.lock import locked
from oasis_ray.manifest import describe, node_digests, now, read_manifest, summary, write_manifest
from oasis_ray.models import pinned
from oasis_ray.monitor import Monitor
from oasis_ray.phases import Phase, due, plan
from oasis_ray.pool import impossible, start_pools, states, stop_pools
from oasis_ray.probe import graded
from oasis_ray.recipe import Recipe
from oasis_ray.rows import Fate
from oasis_ray.sink import PartSink
from oasis_ray.source import Shards, open_shards
from oasis_ray.storage import locate, told
from oasis_ray.tally import Tally
from oasis_ray.waiting import clear, place_of, read_waiting, under_way
from oasis_ray.watch import View, start_watch


@dataclass
class Run:
    """A run as the terminal watches it: `step` since `since`, and while rows travel what its `watch` sees.

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
    watch: Any = None
    notes: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.prices = read_prices(self.job.prices) if self.job.prices else None

    @property
    def folder(self) -> str:
        """The run folder."""
        return self.job.output.path.rstrip("/")

    def stop(self) -> None:
        """Let the rows in flight end, begin no other, and end."""
        self.stopping.set()

    def tally(self) -> Tally:
        """What this session has done so far."""
        if self.watch is None:
            return Tally()
        view: View = ray.get(self.watch.view.remote())
        self.waiting = view.waiting
        return view.tally

    def execute(self, on_step: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
        """Run the job to its end; the manifest of what was done.

        A folder that holds a part of this same run is taken up where it stands. Raises JobError, FitError, RunError, or
        StoppedError where the run was ended before its rows had.
        """
        with locked(self.folder):
            return self._execute(on_step)

    def _execute(self, on_step: Callable[[str], None]) -> dict[str, Any]:
        def step(text: str) -> None:
            self.step, self.since = text, time.monotonic()
            on_step(text)

        step("reading the input")
        shards = open_shards(self.job.input)
        self.rows = shards.rows
        with told("output.path", self.folder, JobError):
            job = self.job.model_copy(update={"pools": pinned(self.job.pools, self._recorded())})
            digests = node_digests(job, self.recipe)
            manifest, todo = self._open(shards, describe(self.job, self.recipe, digests, shards.rows, job.pools))
        session: dict[str, Any] = {"name": uuid4().hex[:8], "started": now()}
        if not todo.groups:
            step("closing the books")
            with told("output.path", self.folder):
                self._close(manifest, session, None)
            return manifest
        with told("output.path", self.folder, JobError):  # before anything costs: is the output to be written to?
            write_manifest(self.folder, manifest)
        step("joining the cluster")
        try:
            gpus, phases = self._fitted()
        except OasisError as error:
            self._close(manifest, session, error)
            raise
        with Heartbeat(
            self.job, self.recipe, session["name"], gpus=gpus, rows=self.rows, before=self.before, notes=self.notes,
            prices=self.prices,
        ) as beat:  # fmt: skip

            def announce(text: str) -> None:
                step(text)
                beat.step(text)

            why = self._work(job, todo, phases, digests, session, beat, announce)
            announce("closing the books")
            with told("output.path", self.folder):
                self._close(manifest, session, why)
            if why is not None:
                raise why
        return manifest

    def _fitted(self) -> tuple[dict[str, bool], tuple[Phase, ...]]:
        """Join the cluster; for each pool whether it runs on GPUs, and the phases. Raises FitError."""
        cluster.join()
        have = cluster.nodes()
        gpus = cluster.on_gpus(self.job.pools, have)
        return gpus, plan(self.job, self.recipe, gpus, have, grows=verdict() is not None)

    def _work(
        self, job: Job, todo: Shards, phases: tuple[Phase, ...], digests: dict[str, str], session: dict[str, Any],
        beat: Heartbeat, step: Callable[[str], None],
    ) -> BaseException | None:  # fmt: skip
        """Phase by phase, start the engines and stream the rows; what ended this before the rows had, if anything."""
        why: BaseException | None = None
        pools: dict[str, PoolHandle] = {}
        session |= {"loads": dict.fromkeys(job.pools, 0), "seconds_loading": 0.0, "seconds": 0.0}
        try:
            failed_before = sum(part.num_rows for part in read_parts(self.folder, Fate.FAILED, ["id"]))
            self.watch = beat.watch = start_watch(f"watch-oasis-{beat.session}")
            for phase in phases:
                left = todo if phase.number == 1 else todo.without(ended_ids(self.folder))
                left = due(left, read_waiting(self.folder), self.recipe, phase)
                if not left.groups:
                    continue  # no row has come to it, or all have passed it: nothing is loaded
                self.phase = beat.phase = phase if phase.of > 1 else None
                ray.get(self.watch.turn.remote())
                with _timed(session, "seconds_loading"):
                    self._change_engines(job, phase, pools, session["loads"], beat, step)
                step("working")
                with _timed(session, "seconds"):
                    self._stream(left, phase, pools, digests, beat.session, failed_before)
        except BaseException as error:
            why = error
        session |= beat.measured()
        self.phase = beat.phase = None
        step("stopping the engines")
        stop_pools(pools)
        return why

    def _change_engines(
        self, job: Job, phase: Phase, pools: dict[str, PoolHandle], loads: dict[str, int], beat: Heartbeat,
        step: Callable[[str], None],
    ) -> None:  # fmt: skip
        """Stop the pools that this phase does without, and start those that it wants; the others stay up."""
        if gone := {name: pools.pop(name) for name in pools.keys() - phase.pools}:
            step("stopping the engines")
            stop_pools(gone)
        if self.stopping.is_set():
            raise StoppedError("the run was told to stop")
        step("starting the engines")
        fresh = {name: pool for name, pool in job.pools.items() if name in phase.pools and name not in pools}
        labels = {"run": beat.run, "session": beat.session}
        pools |= start_pools(fresh, f"oasis-{beat.session}", gpus=beat.gpus, labels=labels)
        for name in fresh:
            loads[name] += 1

    def _close(self, manifest: dict[str, Any], session: dict[str, Any], why: BaseException | None) -> None:
        """Write down what the parts hold, whatever came."""
        self.notes += mend(self.folder)[1]
        tally = tally_of(self.folder)
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

    def _recorded(self) -> dict[str, Any]:
        """The manifest of earlier sessions in this folder; nothing where there were none."""
        fs, base = locate(self.folder)
        return read_manifest(self.folder) if fs.exists(f"{base.rstrip('/')}/run.json") else {}

    def _open(self, shards: Shards, fresh: dict[str, Any]) -> tuple[dict[str, Any], Shards]:
        """The manifest to go on with, and what is left to do."""
        ended, self.notes = mend(self.folder)
        begun = bool(waits(self.folder))
        if not len(ended) and not begun:
            return fresh, shards
        manifest = read_manifest(self.folder)
        changed = changes(manifest, fresh)
        if changed and not self.accept_changes:
            refused = [f"{self.folder} holds a run of another make: {change}" for change in changed]
            advice = "give this run its own folder (--set output.path=…), remove this one, or go on as it is now"
            raise JobError([*refused, f"{advice} (--accept-changes)"])
        if changed:
            nodes = [{"name": node["name"], "digest": node["digest"]} for node in manifest["nodes"]]
            earlier = {"until": now(), "changes": changed, "nodes": nodes}
            manifest = fresh | {"sessions": manifest["sessions"], "earlier": [*manifest["earlier"], earlier]}
            self.notes.append(f"going on although {len(changed)} things changed, as run.json says under `earlier`")
        if begun and (changed or [n["name"] for n in manifest["nodes"]] != [n["name"] for n in fresh["nodes"]]):
            clear(self.folder)
            self.notes.append("rows that waited between two phases begin again, as they are made now")
        if self.retry is not None:
            count = take_back(self.folder, self.retry or None)
            self.notes.append(f"{count} failed rows are tried again")
            ended = ended_ids(self.folder)
        self.before = len(ended)
        more = under_way(self.folder, ended)
        wait = f", {more} more wait for a later phase" if more else ""
        self.notes.append(f"going on: {self.before} of {shards.rows} rows had ended before{wait}")
        return {**manifest, "state": "running"}, shards.without(ended) if len(ended) else shards

    def _stream(
        self, todo: Shards, phase: Phase, pools: Any, digests: dict[str, str], session: str, failed_before: int
    ) -> None:
        self.travelling = self.travelling or time.monotonic()
        waiting = None if phase.number == phase.of else place_of(phase.number + 1)
        rows = build(todo, self.job, self.recipe, pools, digests, self.watch, waiting)
        sink = PartSink(
            self.folder,
            self.recipe,
            session=session if phase.of == 1 else f"{session}-{phase.number}",
            rows_per_part=self.job.output.rows_per_part,
            rows_per_task=self.job.rows_per_task,
            waiting=waiting,
        )
        monitor = Monitor(
            self.job,
            self.recipe,
            self.watch,
            failed_before,
            self.stopping,
            pools=lambda: states(pools),
            impossible=lambda: impossible(pools, verdict()),
        )
        try:
            with monitor:
                writers = BESIDE_A_WORKER * self.job.workers
                rows.write_datasink(sink, ray_remote_args={"num_cpus": LIGHT_CPUS}, concurrency=writers)
        except OasisError:
            raise
        except BaseException as error:
            if monitor.why is None and not isinstance(error, Exception):
                raise
            if monitor.why is None:
                raise RunError(f"the run stopped: {first_cause(error)}") from error
        if monitor.broken_off:
            self.notes.append(f"rows in flight did not end within {self.job.drain_s:g} s (drain_s) and are left to do")
        if monitor.why is None and (errors := ray.get(self.watch.view.remote()).errors):
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
