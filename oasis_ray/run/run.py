"""Run: opens or resumes a run folder, executes one session, and records its end."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from oasis_ray.cost.bill import bill, spent_by
from oasis_ray.cost.probe import graded
from oasis_ray.errors import JobError, OasisError
from oasis_ray.job.job import Job
from oasis_ray.job.load import read_prices
from oasis_ray.output.checkpoint import clear
from oasis_ray.output.counts import Counts
from oasis_ray.output.ledger import counts_of
from oasis_ray.output.manifest import now, summary, write_manifest
from oasis_ray.output.outcomes import outcomes_of
from oasis_ray.output.repair import repair
from oasis_ray.pool.placement import on_gpus
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.run.executor import Executor
from oasis_ray.run.lock import locked
from oasis_ray.run.phases import Phase, plan
from oasis_ray.run.progress_reporter import Reporter
from oasis_ray.run.resume import OpenedRun, open_run
from oasis_ray.run.session import Session
from oasis_ray.storage import check_target, store_errors


def executor_of(job: Job) -> Executor:
    """The executor that a job names. Ray is imported only for jobs that use it."""
    if job.executor == "local":
        from oasis_ray.run.local_executor import LocalExecutor

        return LocalExecutor()
    from oasis_ray.run.ray_executor import RayExecutor

    return RayExecutor()


@dataclass
class Run:
    """A run of a job, and its progress for a terminal: the `step` that it is in, and `since` when.

    `retry` names failed rows that are tried again: a reason, or "" for all of them. With `accept_changes` a folder is
    resumed although its recipe, models or input were different; the manifest records the change. `rows` are those of
    the input, `before` those that ended in earlier sessions, and `notes` are for the user.
    """

    job: Job
    recipe: Recipe
    retry: str | None = None
    accept_changes: bool = False
    step: str = "reading the input"
    rows: int = 0
    before: int = 0
    since: float = field(default_factory=time.monotonic)
    notes: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    session: Session | None = None

    def __post_init__(self) -> None:
        self.prices = read_prices(self.job.prices) if self.job.prices else None
        self.executor = executor_of(self.job)

    @property
    def folder(self) -> str:
        """The run folder."""
        return self.job.output.folder

    @property
    def phase(self) -> Phase | None:
        """The phase that is being worked on, where the run has several."""
        return self.session.reporter.phase if self.session else None

    @property
    def working_since(self) -> float | None:
        """When the first row of this session began, in monotonic seconds; None before that."""
        return self.session.working_since if self.session else None

    @property
    def waiting(self) -> int:
        """The number of rows that wait for a later phase."""
        return self.session.waiting if self.session else 0

    def stop(self) -> None:
        """Drain the run: rows in flight end, no further row begins."""
        self.stopping.set()

    def counts(self) -> Counts:
        """The rows that ended in this session so far."""
        return self.session.counts() if self.session else Counts()

    def execute(self, on_step: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
        """Execute the job to its end and return the manifest. A folder that holds a part of this run is resumed.

        `on_step` is called with each step that begins. Raises JobError, FitError, RunError, or StoppedError where the
        run was ended before its rows had.
        """
        check_target("output.path", self.folder)
        with locked(self.folder):
            return self._execute(on_step)

    def _execute(self, on_step: Callable[[str], None]) -> dict[str, Any]:
        def step(text: str) -> None:
            self.step, self.since = text, time.monotonic()
            on_step(text)

        step("reading the input")
        opened = open_run(self.job, self.recipe, retry=self.retry, accept_changes=self.accept_changes)
        manifest = opened.manifest
        self.recipe = replace(self.recipe, kept=opened.todo.kept)
        self.rows, self.before, self.notes = opened.rows, opened.before, opened.notes
        record: dict[str, Any] = {"name": uuid4().hex[:8], "started": now(), "executor": self.job.executor}
        if not opened.todo.groups:
            step("finalizing the run")
            self._close(manifest, record, None)
            return manifest
        self._check(opened, step)
        step("joining the cluster" if self.job.executor == "ray" else "inspecting this machine")
        try:
            gpus, phases = self._fitted()
        except OasisError as error:
            self._close(manifest, record, error)
            raise
        with Reporter(
            self.job, self.recipe, record["name"], self.executor, gpus=gpus, rows=self.rows, before=self.before,
            notes=self.notes, prices=self.prices,
        ) as reporter:  # fmt: skip

            def announce(text: str) -> None:
                step(text)
                reporter.step(text)

            self.session = Session(
                opened, self.recipe, self.executor, phases, reporter, record, announce, self.stopping
            )
            reason: BaseException | None = None
            try:
                self.session.run()
            except BaseException as error:
                reason = error
                raise
            finally:
                announce("finalizing the run")
                self._close(manifest, record, reason)
        return manifest

    def _check(self, opened: OpenedRun, step: Callable[[str], None]) -> None:
        """Raise RunError or JobError, before anything costs, where a server or the output can't be used."""
        if any(pool.backend == "openai" for pool in self.job.pools.values()):
            from oasis_ray.engine.openai_server import check_servers  # its client takes a second to import

            step("checking the servers")
            check_servers(self.job.pools)
        with store_errors("output.path", self.folder, JobError):
            write_manifest(self.folder, opened.manifest)

    def _fitted(self) -> tuple[dict[str, bool], tuple[Phase, ...]]:
        """Join the cluster; return for each pool whether it runs on GPUs, and the phases. Raises FitError."""
        self.executor.join()
        nodes = self.executor.nodes()
        gpus = on_gpus(self.job.pools, nodes)
        return gpus, plan(self.job, self.recipe, gpus, nodes, grows=self.executor.grows())

    def _close(self, manifest: dict[str, Any], record: dict[str, Any], reason: BaseException | None) -> None:
        """Write into the manifest what the parts hold, and what ended the session. Raises RunError where it can't."""
        with store_errors("output.path", self.folder):
            outcomes = outcomes_of(manifest)
            self.notes += repair(self.folder, outcomes)[1]
            counts = counts_of(self.folder)
            record |= {"ended": now(), "rows": counts.rows - self.before}
            if reason is not None:
                record["stopped"] = f"{type(reason).__name__}: {reason}"
            manifest["sessions"].append(record)
            state = "stopped" if reason else "done" if counts.rows == self.rows else "incomplete"
            if state == "done":
                clear(self.folder)
            spent, currency = spent_by(manifest["sessions"], self.prices), self.prices.currency if self.prices else None
            total = bill(counts, self.recipe.pool_of, spent, currency)
            manifest.pop("elements", None)  # of an earlier session: without elements, the summary has no such key
            manifest |= {"state": state, **summary(counts, outcomes), "bill": total.model_dump(mode="json")}
            if state == "done" and (forecast := graded(self.folder, manifest)) is not None:
                manifest["forecast"] = forecast.model_dump(mode="json")
            write_manifest(self.folder, manifest)
