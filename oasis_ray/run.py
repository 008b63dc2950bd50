"""One run of a job: open or take up its folder, start the pools, stream the rows, close the books."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import filelock
import ray

from oasis_ray import cluster
from oasis_ray.autoscaler import verdict
from oasis_ray.bill import bill, spent_by
from oasis_ray.changes import changes
from oasis_ray.errors import JobError, OasisError, RunError
from oasis_ray.graph import LIGHT_CPUS, build
from oasis_ray.heartbeat import Heartbeat
from oasis_ray.job import Job, expand
from oasis_ray.ledger import ended_ids, mend, read_parts, take_back
from oasis_ray.load import read_prices
from oasis_ray.manifest import describe, node_digests, now, read_manifest, summary, write_manifest
from oasis_ray.models import pinned
from oasis_ray.monitor import Monitor
from oasis_ray.pool import PoolHandle, impossible, start_pools, states, stop_pools
from oasis_ray.probe import graded
from oasis_ray.recipe import Recipe
from oasis_ray.rows import Fate
from oasis_ray.sink import PartSink
from oasis_ray.source import Shards, open_shards
from oasis_ray.storage import locate, told
from oasis_ray.tally import Tally, of_run
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
        return view.tally

    def execute(self, on_step: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
        """Run the job to its end; the manifest of what was done.

        A folder that holds a part of this same run is taken up where it stands. Raises JobError, FitError, RunError, or
        StoppedError where the run was ended before its rows had.
        """
        with _locked(self.folder):
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
            gpus = self._fitted()
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

            why = self._work(job, todo, digests, session, beat, announce)
            announce("closing the books")
            with told("output.path", self.folder):
                self._close(manifest, session, why)
            if why is not None:
                raise why
        return manifest

    def _fitted(self) -> dict[str, bool]:
        """Join the cluster; for each pool whether it runs on GPUs. Raises FitError where they never will."""
        cluster.join()
        have = cluster.nodes()
        gpus = cluster.on_gpus(self.job.pools, have)
        if verdict() is None:
            cluster.fit(cluster.needs(self.job.pools, gpus), have)
        return gpus

    def _work(
        self, job: Job, todo: Shards, digests: dict[str, str], session: dict[str, Any], beat: Heartbeat,
        step: Callable[[str], None],
    ) -> BaseException | None:  # fmt: skip
        """Start the engines, stream the rows, stop the engines; what ended this before the rows had, if anything."""
        why: BaseException | None = None
        pools: dict[str, PoolHandle] = {}
        try:
            step("starting the engines")
            loading = time.monotonic()
            labels = {"run": beat.run, "session": beat.session}
            pools = start_pools(job.pools, f"oasis-{beat.session}", gpus=beat.gpus, labels=labels)
            session["seconds_loading"] = round(time.monotonic() - loading, 1)
            step("working")
            self.watch = beat.watch = start_watch(f"watch-oasis-{beat.session}")
            self._stream(todo, pools, digests, beat.session)
        except BaseException as error:
            why = error
        if self.travelling is not None:
            session["seconds"] = round(time.monotonic() - self.travelling, 1)
        session |= beat.measured()
        step("stopping the engines")
        stop_pools(pools)
        return why

    def _close(self, manifest: dict[str, Any], session: dict[str, Any], why: BaseException | None) -> None:
        """Write down what the parts hold, whatever came."""
        self.notes += mend(self.folder)[1]
        tally = of_run(self.folder)
        session |= {"ended": now(), "rows": tally.rows - self.before}
        if why is not None:
            session["stopped"] = f"{type(why).__name__}: {why}"
        manifest["sessions"].append(session)
        state = "stopped" if why else "done" if tally.rows == self.rows else "incomplete"
        spent, currency = spent_by(manifest["sessions"], self.prices), self.prices.currency if self.prices else None
        made = bill(tally, {node.name: node.pool for node in self.recipe.nodes}, spent, currency)
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
        if not len(ended):
            return fresh, shards
        manifest = read_manifest(self.folder)
        changed = changes(manifest, fresh)
        if changed and not self.accept_changes:
            told = [f"{self.folder} holds a run of another make: {change}" for change in changed]
            advice = "give this run its own folder (--set output.path=…), remove this one, or go on as it is now"
            raise JobError([*told, f"{advice} (--accept-changes)"])
        if changed:
            nodes = [{"name": node["name"], "digest": node["digest"]} for node in manifest["nodes"]]
            earlier = {"until": now(), "changes": changed, "nodes": nodes}
            manifest = fresh | {"sessions": manifest["sessions"], "earlier": [*manifest["earlier"], earlier]}
            self.notes.append(f"going on although {len(changed)} things changed, as run.json says under `earlier`")
        if self.retry is not None:
            count = take_back(self.folder, self.retry or None)
            self.notes.append(f"{count} failed rows are tried again")
            ended = ended_ids(self.folder)
        self.before = len(ended)
        self.notes.append(f"going on: {self.before} of {shards.rows} rows had ended before")
        return {**manifest, "state": "running"}, shards.without(ended)

    def _stream(self, todo: Shards, pools: Any, digests: dict[str, str], session: str) -> None:
        self.travelling = time.monotonic()
        rows = build(todo, self.job, self.recipe, pools, digests, self.watch)
        sink = PartSink(
            self.folder,
            self.recipe,
            session=session,
            rows_per_part=self.job.output.rows_per_part,
            rows_per_task=self.job.rows_per_task,
        )
        failed_before = sum(part.num_rows for part in read_parts(self.folder, Fate.FAILED, ["id"]))
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
                rows.write_datasink(sink, ray_remote_args={"num_cpus": LIGHT_CPUS})
        except OasisError:
            raise
        except BaseException as error:
            if monitor.why is None and not isinstance(error, Exception):
                raise
            if monitor.why is None:
                raise RunError(f"the run stopped: {_root(error)}") from error
        if monitor.broken_off:
            self.notes.append(f"rows in flight did not end within {self.job.drain_s:g} s (drain_s) and are left to do")
        if monitor.why is None and (errors := ray.get(self.watch.view.remote()).errors):
            raise RunError(errors[0])  # of the last second
        if monitor.why is not None:
            raise monitor.why


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Keep a second run out of a local folder. An object store knows no locks: see docs/failures.md."""
    if "://" in folder:
        yield
        return
    place = Path(expand(folder))
    place.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(place / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise RunError(f"{folder} is being worked on by another oasis-ray run; wait for it, or stop it") from None
    try:
        yield
    finally:
        lock.release()


def _root(error: BaseException) -> str:
    """The first cause of a failure, in a line: Ray hands it on as the text of a trace inside its own errors."""
    ours = re.findall(r"^oasis_ray\.errors\.\w+: (.+)$", str(error), re.MULTILINE)
    if ours:
        return str(ours[0])
    cause = getattr(error, "cause", None) or error.__cause__
    if cause is not None and cause is not error:
        return _root(cause)
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
