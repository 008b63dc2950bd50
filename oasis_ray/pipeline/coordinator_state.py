"""The watch over a run that goes on: workers report to it what they begin and end, and the driver asks it.

It is a plain object. `coordinator` says how it is reached: in this process, or as an actor of a cluster.

It knows which rows are in flight, so it notices rows that were begun and never ended: their worker was lost. It holds
the suspects of every place, so that one at a time is tried in the whole cluster. It carries the word to stop from the
driver to the workers, and a failure of the machinery from the workers to the driver.
"""

import time
from collections import deque
from collections.abc import Sequence

from oasis_ray.output.counts import Counts, EndedRow
from oasis_ray.pipeline.poison import PoisonDetector, Verdict
from oasis_ray.pipeline.snapshot import Event, RowsAtNode, Snapshot

WORKERS = "workers"  # the place where a row is carried; the other places are pools
KEPT = 10_000  # events that wait for the driver to fetch them


class CoordinatorState:
    """One run's watch. What a lost worker had told may be counted twice in the tally; the parts are not."""

    def __init__(self) -> None:
        self._tally, self._steps, self._errors = Counts(), dict[str, int](), list[str]()
        self._standing = dict[str, tuple[float, list[RowsAtNode]]]()
        self._flying: set[str] = set()
        self._begun, self._waiting, self._draining = 0, 0, False
        self._first, self._last, self._flown = 0.0, 0.0, 0.0
        self._places: dict[str, PoisonDetector] = {}
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._noted = 0

    def begin(self, rows: list[str]) -> list[str] | None:
        """A worker takes these rows up: those of them that are suspects, or None where no row is to be begun."""
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
        """What worked on this row was lost: an engine of the pool `place`, or a worker."""
        self._at(place).lost(row)
        if place == WORKERS:
            self._note("worker_lost", row=row)
        else:
            self._note("engine_lost", row=row, pool=place)

    def verdict(self, place: str, row: str) -> Verdict:
        """How a suspect may be tried again, now."""
        return self._at(place).verdict(row)

    def cleared(self, place: str, row: str) -> None:
        """A suspect's work was done."""
        self._at(place).cleared(row)

    def ended(
        self,
        rows: list[str],
        told: list[EndedRow],
        failed: Sequence[tuple[str, str, str]] = (),
        waiting: int = 0,
        seconds: float = 0.0,
    ) -> None:
        """These rows are no longer in flight; `told` counts those of them that have ended.

        `failed` names the failed ones: row, node and reason. So many of the rows are `waiting` for the next phase.
        `seconds` is the sum of the times that they were on their way.
        """
        self._tally.add(told)
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
        """A worker tells how many requests it has had answered, and where its rows stand."""
        self._steps[worker], self._standing[worker] = steps, (time.monotonic(), standing)

    def fail(self, error: str) -> None:
        """The machinery failed for a row."""
        self._errors.append(error)
        self._note("error", text=error)

    def turn(self) -> None:
        """Another phase begins: nothing waits for it any more, and its workers are new."""
        self._waiting, self._standing = 0, {}

    def drain(self) -> None:
        """From now on no row is begun."""
        if not self._draining:
            self._note("draining")
        self._draining = True

    def draining(self) -> bool:
        """Whether the rows that are in flight are the last."""
        return self._draining

    def view(self) -> Snapshot:
        """Where the run stands."""
        # A worker that has not told anything for long is gone, and its rows stand elsewhere by now.
        fresh = [told for at, told in self._standing.values() if time.monotonic() - at < 60]
        standing = [one for told in fresh for one in told]
        moved = self._tally.rows + sum(self._steps.values())
        seconds = self._last - self._first
        at_once = self._flown / seconds if seconds else 0.0
        return Snapshot(self._tally, moved, self._begun, self._errors, standing, self._waiting, seconds, at_once)

    def events(self, after: int) -> list[Event]:
        """What has happened after the event of this number, as far as it is still kept."""
        return [event for event in self._events if event.number > after]

    def _pass(self) -> None:
        self._last = time.monotonic()
        self._first = self._first or self._last

    def _note(self, event: str, **facts: str) -> None:
        self._noted += 1
        self._events.append(Event(self._noted, time.time(), event, facts))

    def _at(self, place: str) -> PoisonDetector:
        return self._places.setdefault(place, PoisonDetector())
