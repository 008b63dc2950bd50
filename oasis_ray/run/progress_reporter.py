"""Reporter: publishes the progress of a session every few seconds.

A thread of the driver looks at the coordinator, the engines and the nodes. The same figures, from one look, become the
run's metrics, the file `progress.json` and lines in the session's event log. A file that can't be written is noted
once; the run continues.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from oasis_ray.cluster.nodes import gpu_types
from oasis_ray.cost.bill import bill, spent_by
from oasis_ray.job.job import Job
from oasis_ray.job.prices import Prices
from oasis_ray.output.manifest import summary
from oasis_ray.pipeline.coordinator import Coordinator
from oasis_ray.pipeline.snapshot import Event, Snapshot, by_node
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.run.engine_clock import EngineClock
from oasis_ray.run.event_log import EventLog
from oasis_ray.run.executor import Executor
from oasis_ray.run.phases import Phase
from oasis_ray.run.progress import Place, Progress, publish, write_progress

EVERY_S = 5.0
STORE_S = 30.0  # between two writes to an object store
WINDOW_S = 60.0  # that "recent" rates cover


@dataclass
class Reporter:
    """Reporter of one session; a context manager. `coordinator` is set once it runs; `notes` are for the user."""

    job: Job
    recipe: Recipe
    session: str
    executor: Executor
    gpus: Mapping[str, bool]
    rows: int
    before: int
    notes: list[str]
    prices: Prices | None = None
    coordinator: Coordinator | None = None
    phase: Phase | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.folder = self.job.output.folder
        self.run = self.folder.rpartition("/")[2]
        self._every_s = STORE_S if "://" in self.folder else EVERY_S
        self._meter = self.executor.meter(self.run, self.session)
        self._log = EventLog(self.folder, run=self.run, session=self.session)
        self._step, self._since = "", time.monotonic()
        self._clock = EngineClock(self.job.pools, self.gpus, self._since)
        self._working: float | None = None
        self._failed, self._wrote = False, float("-inf")
        self._events = 0
        self._snapshot = Snapshot()
        self._ended: deque[tuple[float, int, int]] = deque()
        self._types: set[str] = set()
        self._peak_mib = 0.0
        self._looking = threading.Lock()
        self._machines: dict[str, str] = {}

    def __enter__(self) -> "Reporter":
        self.note("session_started", rows=self.rows, before=self.before, recipe=self.recipe.name)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._stop.set()
        self._thread.join()
        self._try_to_look()
        self.note("session_ended", why=f"{type(error).__name__}: {error}" if error else None)
        self._snapshot.standing = []
        self._clock.engines = {name: dict.fromkeys(states, 0) for name, states in self._clock.engines.items()}
        self._publish(self._progress(), at_once=True)  # so that no gauge keeps its last value

    def step(self, text: str) -> None:
        """Record that a step of the session begins."""
        self._step, self._since = text, time.monotonic()
        if text == "working":
            self._working = self._since
        self.note("step", text=text, **({} if self.phase is None else {"phase": str(self.phase)}))

    def measured(self) -> dict[str, Any]:
        """What the manifest says of the session, as of now.

        seconds_of_rows: from the first row that began to the last that ended. rows_at_once: rows in flight, on average.
        engine_seconds, gpu_seconds, gpu_seconds_of_types: by pool, see `EngineClock`. gpus: the types of GPU of the
        cluster. peak_memory_mib: the most memory in use on this machine at any look.
        """
        self._try_to_look()
        return {
            "seconds_of_rows": round(self._snapshot.seconds, 1),
            "rows_at_once": round(self._snapshot.at_once, 2),
            **self._clock.measured(),
            "gpus": sorted(self._types),
            "peak_memory_mib": round(self._peak_mib),
        }

    def note(self, event: str, **facts: Any) -> None:
        """Add an event to the session's log."""
        self._log.note(event, **facts)

    def _run(self) -> None:
        while True:
            self._try_to_look()
            self._publish(self._progress())
            if self._stop.wait(EVERY_S):
                return

    def _try_to_look(self) -> None:
        try:
            with self._looking:
                self._look()
        except Exception as error:  # Ray may be starting or stopping, or have lost a process: the next look comes soon
            text = (str(error).strip().splitlines() or [""])[-1]
            self.note("look_failed", text=f"{type(error).__name__}: {text}")

    def _look(self) -> None:
        """Look at rows, engines and nodes, and note what has changed."""
        if (coordinator := self.coordinator) is not None:
            self._snapshot = coordinator.view()
            for event in coordinator.events(self._events):
                self._note_event(event)
        now, groups = time.monotonic(), self.executor.engines(f"oasis-{self.session}", self.job.pools)
        for name, counts in self._clock.look(groups, now).items():
            self.note("engines", pool=name, **counts)
        alive = self.executor.nodes()
        self._types.update(name for node in alive for name in gpu_types(node.resources))
        machines = {node.id: node.name for node in alive}
        for name in machines.keys() - self._machines.keys():
            self.note("machine_up", machine=name, address=machines[name])
        for name in self._machines.keys() - machines.keys():
            self.note("machine_lost", machine=name, address=self._machines[name])
        self._machines = machines
        self._peak_mib = max(self._peak_mib, self.executor.used_mib())

    def _note_event(self, event: Event) -> None:
        self._log.missed(event.number - self._events - 1)
        self._events = event.number
        self._log.note(event.event, at=event.at, **event.facts)

    def _progress(self) -> Progress:
        now, counts = time.monotonic(), self._snapshot.counts
        self._ended.append((now, counts.rows, counts.reply_tokens))
        while len(self._ended) > 2 and now - self._ended[1][0] > WINDOW_S:
            self._ended.popleft()
        at, rows, tokens = self._ended[0]
        recent = now - at
        pools = self.recipe.pool_of
        clock = self._clock
        session = {
            "gpu_seconds": clock.gpu_seconds, "gpu_seconds_of_types": clock.gpu_seconds_of_types, "gpus": self._types,
        }  # fmt: skip
        currency = self.prices.currency if self.prices else None
        return Progress(
            run=self.run,
            session=self.session,
            time=datetime.now(UTC),
            every_s=self._every_s,
            phase=None if self.phase is None else str(self.phase),
            step=self._step,
            step_s=round(now - self._since, 1),
            input_rows=self.rows,
            rows_before=self.before,
            rows_waiting=self._snapshot.waiting,
            **summary(counts, self.recipe.outcomes),
            in_flight=[
                Place(node=one.node, pool=pools.get(one.node), rows=one.rows, oldest=one.oldest, seconds=one.seconds)
                for one in by_node(self._snapshot.standing)
            ],
            engines=clock.engines,
            gpu_seconds={name: round(seconds, 1) for name, seconds in clock.gpu_seconds.items()},
            bill=bill(counts, pools, spent_by([session], self.prices), currency),
            rows_per_s=counts.rows / max(now - self._working, 1.0) if self._working else None,
            recent_rows_per_s=(counts.rows - rows) / recent if recent else None,
            recent_reply_tokens_per_s=(counts.reply_tokens - tokens) / recent if recent else None,
        )

    def _publish(self, progress: Progress, *, at_once: bool = False) -> None:
        if self._meter is not None:
            publish(self._meter, progress, {node.name for node in self.recipe.nodes})
        if not at_once and time.monotonic() - self._wrote < self._every_s - EVERY_S / 2:
            return
        self._wrote = time.monotonic()
        try:
            write_progress(self.folder, progress)
            self._log.write()
        except Exception as error:  # a store may raise anything, and the rows matter more
            if not self._failed:
                self.notes.append(f"progress and event log could not be written; the run continued: {error}")
                self._failed = True
