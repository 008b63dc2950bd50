"""The state of a coordinator: which rows are in flight, what has ended, what failed, and what is suspected.

A plain object; `coordinator` says how it is reached, in this process or as an actor of a cluster. Workers report to it
what they begin and end, and the driver queries it. Because it knows which rows are in flight, it notices rows that were
begun and begin again: their worker was lost. It holds the suspected rows of every place, so that one at a time is tried
in the whole cluster. It passes the request to drain from the driver to the workers, and infrastructure failures from
the workers to the driver.
"""

import time
from collections import deque
from collections.abc import Sequence

from oasis_ray.output.counts import Counts, EndedRow
from oasis_ray.pipeline.poison import PoisonDetector, Verdict
from oasis_ray.pipeline.snapshot import Event, RowsAtNode, Snapshot

WORKERS = "workers"  # the place of losses of workers; the other places are pools
KEPT = 10_000  # events, until the driver fetches them


class CoordinatorState:
    """The state of one run's coordinator. Rows of a lost worker may be counted twice here; parts hold them once."""

    def __init__(self) -> None:
        self._counts, self._steps, self._errors = Counts(), dict[str, int](), list[str]()
        self._standing = dict[str, tuple[float, list[RowsAtNode]]]()
        self._flying: set[str] = set()
        self._begun, self._waiting, self._draining = 0, 0, False
        self._first, self._last, self._flown = 0.0, 0.0, 0.0
        self._places: dict[str, PoisonDetector] = {}
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._noted = 0

    def begin(self, rows: list[str]) -> list[str] | None:
        """Record that a worker begins these rows. Return those that are suspected, or None where the run drains."""
        if self._draining:
            return None
        self._begun += len(rows)
        self._pass()
        for row in self._flying.intersection(rows):
            for name, suspects in self._places.items():
                if name != WORKERS:
                    suspects.forget(row)
            self.lost(WORKERS, row)
        self._flying.update(rows)
        return [row for row in rows if self._at(WORKERS).suspected(row)]

    def lost(self, place: str, row: str) -> None:
        """Record that what worked on this row was lost: an engine of the pool `place`, or a worker."""
        self._at(place).lost(row)
        if place == WORKERS:
            self._note("worker_lost", row=row)
        else:
            self._note("engine_lost", row=row, pool=place)

    def verdict(self, place: str, row: str) -> Verdict:
        """Return how a suspected row may be tried again now."""
        return self._at(place).verdict(row)

    def cleared(self, place: str, row: str) -> None:
        """Record that the work on a suspected row succeeded."""
        self._at(place).cleared(row)

    def ended(
        self,
        rows: list[str],
        counted: list[EndedRow],
        failed: Sequence[tuple[str, str, str]] = (),
        waiting: int = 0,
        seconds: float = 0.0,
    ) -> None:
        """Record that these rows are no longer in flight.

        counted: the rows among them that have ended. failed: row, node and reason of each failed row. waiting: how many
        wait for the next phase. seconds: the sum of the times that the rows were in flight.
        """
        self._counts.add(counted)
        self._waiting += waiting
        self._flown += seconds
        self._pass()
        for row, node, reason in failed:
            self._note("row_failed", row=row, node=node, reason=reason)
        self._flying.difference_update(rows)
        for suspects in self._places.values():
            for row in rows:
                suspects.forget(row)

    def stand(self, worker: str, steps: int, standing: list[RowsAtNode]) -> None:
        """Record how many requests a worker has had answered, and at which nodes its rows are."""
        self._steps[worker], self._standing[worker] = steps, (time.monotonic(), standing)

    def fail(self, error: str) -> None:
        """Record an infrastructure failure."""
        self._errors.append(error)
        self._note("error", text=error)

    def turn(self) -> None:
        """Begin another phase: no row waits for it any more, and its workers are new."""
        self._waiting, self._standing = 0, {}

    def drain(self) -> None:
        """Begin no further row."""
        if not self._draining:
            self._note("draining")
        self._draining = True

    def draining(self) -> bool:
        """Whether the run drains: no further row is begun."""
        return self._draining

    def view(self) -> Snapshot:
        """Return a snapshot of the run."""
        # A worker that has not reported for a minute is gone, and its rows are with another one.
        fresh = [rows for at, rows in self._standing.values() if time.monotonic() - at < 60]
        standing = [rows for report in fresh for rows in report]
        moved = self._counts.rows + sum(self._steps.values())
        seconds = self._last - self._first
        at_once = self._flown / seconds if seconds else 0.0
        return Snapshot(self._counts, moved, self._begun, self._errors, standing, self._waiting, seconds, at_once)

    def events(self, after: int) -> list[Event]:
        """Return the events after the one with this number, as far as they are still kept."""
        return [event for event in self._events if event.number > after]

    def _pass(self) -> None:
        self._last = time.monotonic()
        self._first = self._first or self._last

    def _note(self, event: str, **facts: str) -> None:
        self._noted += 1
        self._events.append(Event(self._noted, time.time(), event, facts))

    def _at(self, place: str) -> PoisonDetector:
        return self._places.setdefault(place, PoisonDetector())
