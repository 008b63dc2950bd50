"""Watchdog: ends a run that was asked to stop, exceeds its limit of failed rows, or makes no progress.

A thread of the driver looks at the coordinator every second. To end a run, it drains it: no further row begins, rows in
flight finish, parts are closed. Rows that have not finished in time are abandoned. They are not lost: no part holds
them, so the next session works on them.
"""

import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from oasis_ray.errors import FAILED_BEYOND_LIMIT, FitError, OasisError, RunError, StoppedError
from oasis_ray.job.job import Job
from oasis_ray.pipeline.coordinator import Coordinator
from oasis_ray.pipeline.snapshot import Snapshot, rows_by_node
from oasis_ray.recipe.recipe import Recipe

LOOK_S = 1.0
NODES_S = 20.0  # without progress, after which the autoscaler is asked whether nodes are coming
SAMPLE = 1000  # rows that must have ended before a share of failed rows counts


@dataclass
class Watchdog:
    """The watchdog of one session. `why` is the error that ends the run, once there is one."""

    job: Job
    recipe: Recipe
    coordinator: Coordinator
    failed_before: int
    stop: threading.Event
    pools: Callable[[], str]
    impossible: Callable[[], str]
    why: OasisError | None = None
    broken_off: bool = False
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watchdog":
        # Jobs that a shell script starts in the background ignore SIGINT, and so the signal below.
        self._unheard = threading.current_thread() is threading.main_thread() and (
            signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        )
        if self._unheard:
            signal.signal(signal.SIGINT, self._interrupt)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self._unheard:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _interrupt(self, *_: object) -> None:
        if self.broken_off:
            raise KeyboardInterrupt

    def _run(self) -> None:
        moved, since, deadline = -1, time.monotonic(), float("inf")
        while not self._done.wait(LOOK_S):
            try:
                view = self.coordinator.view()
            except RunError:
                continue  # its process was lost and restarts, or the run is ending
            now = time.monotonic()
            if view.moved != moved:
                moved, since = view.moved, now
            if self.why is None:
                self.why = self._reason(view, now - since)
                deadline = now + self.job.drain_s if self.why else deadline
            if self.why is not None:
                self.stop.set()  # so that a further signal, also the one below, aborts
                self.coordinator.drain()
            if now > deadline and not self._done.is_set():
                self.broken_off = True
                # A real signal, because it also wakes an idle event loop.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                return

    def _reason(self, view: Snapshot, still: float) -> OasisError | None:
        """Return why the run has to end now, or None."""
        if self.stop.is_set():
            return StoppedError("the run was asked to stop")
        if view.errors:
            return RunError(view.errors[0])
        if still > NODES_S and (lost := self.impossible()):
            return FitError(lost)
        ended, limit = view.counts.rows, self.job.max_failed
        failed = view.counts.outcomes["failed"]
        if (
            failed > limit * ended and ended >= SAMPLE
            if isinstance(limit, float)
            else failed + self.failed_before > limit
        ):
            reasons = "; ".join(
                f"{rows} at {node}: {reason}"
                for (outcome, node, reason), rows in view.counts.reasons.most_common(20)
                if outcome == "failed"
            )
            earlier = f", and {self.failed_before} in earlier sessions" if self.failed_before else ""
            text = f"{failed} of {ended} rows failed ({reasons}){earlier}; the job allows max_failed: {limit}"
            return StoppedError(text, FAILED_BEYOND_LIMIT)
        if still > self.job.no_progress_s:
            where = rows_by_node(view.standing, self.recipe.pool_of)
            with suppress(Exception):
                where += f". {self.pools()}"
            return StoppedError(f"no progress for {still:.0f} s (no_progress_s): {where}")
        return None
