"""The monitor ends a run that should not go on: asked to, beyond its limit of failed rows, or when nothing moves.

It is a thread of the driver that looks at the coordinator every second. Ending means draining: no further row is begun,
rows in flight come to their ends, parts are closed. What has not drained in time is broken off; its rows are not lost,
for no part holds them and the next session does them.
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
NODES_S = 20.0  # in which nothing has moved: time to ask whether nodes are coming
SAMPLE = 1000  # rows that must have ended before their failed share says something


@dataclass
class Watchdog:
    """Watches one session. `why` is the error that the run ends with, once there is a reason to end it."""

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
        # A shell that starts a script's job in the background has it ignore SIGINT, and so the signal below.
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
                continue  # its process was lost and comes back, or the run is ending
            now = time.monotonic()
            if view.moved != moved:
                moved, since = view.moved, now
            if self.why is None:
                self.why = self._reason(view, now - since)
                deadline = now + self.job.drain_s if self.why else deadline
            if self.why is not None:
                self.stop.set()  # so that a signal from now on, the one below too, breaks off
                self.coordinator.drain()
            if now > deadline and not self._done.is_set():
                self.broken_off = True
                # A real signal: it also wakes an event loop that waits for nothing in particular.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                return

    def _reason(self, view: Snapshot, still: float) -> OasisError | None:
        """Why the run has to end now, or None."""
        if self.stop.is_set():
            return StoppedError("the run was told to stop")
        if view.errors:
            return RunError(view.errors[0])
        if still > NODES_S and (lost := self.impossible()):
            return FitError(lost)
        ended, limit = view.tally.rows, self.job.max_failed
        failed = view.tally.outcomes["failed"]
        if (
            failed > limit * ended and ended >= SAMPLE
            if isinstance(limit, float)
            else failed + self.failed_before > limit
        ):
            most = "; ".join(
                f"{rows} at {node}: {reason}"
                for (outcome, node, reason), rows in view.tally.reasons.most_common(20)
                if outcome == "failed"
            )
            earlier = f", and {self.failed_before} in earlier sessions" if self.failed_before else ""
            text = f"{failed} of {ended} rows failed ({most}){earlier}; the job allows max_failed: {limit}"
            return StoppedError(text, FAILED_BEYOND_LIMIT)
        if still > self.job.no_progress_s:
            where = rows_by_node(view.standing, self.recipe.pool_of)
            with suppress(Exception):
                where += f". {self.pools()}"
            return StoppedError(f"nothing has moved for {still:.0f} s (no_progress_s): {where}")
        return None
