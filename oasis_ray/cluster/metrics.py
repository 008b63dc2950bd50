"""Metrics of a run. Ray's node agents export them to Prometheus, with the prefix `ray_`.

Every metric has the labels `run` (the run folder's name) and `session` (as in the names of its engines and parts), and
those below. There are no labels per row. Names that end in `_total` are counters, all others gauges.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.util.metrics import Counter, Gauge

METRICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "oasis_rows_total": (
        "Rows that have ended, by outcome; node and reason are set for rejected and failed rows only.",
        ("outcome", "node", "reason"),
    ),
    "oasis_rows_in_flight": ("Rows in flight, by the node that they are at.", ("node",)),
    "oasis_oldest_row_seconds": ("For how long the oldest of these rows has been at its node.", ("node",)),
    "oasis_rows_left": ("Rows of the input that have not ended, including those in flight.", ()),
    "oasis_requests_total": ("Answered requests of rows that have ended.", ("node",)),
    "oasis_request_seconds_total": ("Seconds spent waiting for these requests; many wait at the same time.", ("node",)),
    "oasis_tokens_total": (
        "Tokens of rows that have ended, by kind: prompt, cached (part of the prompt tokens), reply (output).",
        ("node", "kind"),
    ),
    "oasis_engines": ("Engines of a pool, by the state of their Serve replica.", ("pool", "state")),
    "oasis_gpu_seconds_total": ("Seconds of running engines, times the GPUs of each.", ("pool",)),
    "oasis_gpu_seconds_per_accepted_row": ("GPU-seconds of all pools, divided by the accepted rows.", ()),
    "oasis_engine_requests": ("Requests in one engine, waiting or running.", ("pool",)),
    "oasis_engine_seconds_total": ("Seconds that one engine has been up.", ("pool",)),
    "oasis_engine_busy_seconds_total": ("Seconds in which this engine had at least one request.", ("pool",)),
}


class Metrics:
    """The metrics of one process; `labels` are set on all of them."""

    def __init__(self, **labels: str) -> None:
        self._labels = labels
        self._metrics: dict[str, Any] = {}
        self._totals: dict[tuple[str, ...], float] = {}  # of counters, by name and labels

    def record(self, name: str, value: float, **labels: str) -> None:
        """Set a metric, or a counter's total, to `value`. Raises KeyError if there is no such metric."""
        description, keys = METRICS[name]
        is_counter = name.endswith("_total")
        if name not in self._metrics:
            keys = tuple(dict.fromkeys((*self._labels, *keys)))
            self._metrics[name] = (Counter if is_counter else Gauge)(name, description=description, tag_keys=keys)
        tags = self._labels | labels
        if not is_counter:
            self._metrics[name].set(value, tags=tags)
            return
        series = (name, *labels.values())
        # Ray's counters take increments. A total that shrank is that of a coordinator that was lost and restarted.
        increment = value - self._totals.get(series, 0.0)
        if increment > 0:
            self._metrics[name].inc(increment, tags=tags)
            self._totals[series] = value


class BusyTime:
    """Busy time of one engine, from its requests. `pool.replica` reports it at every health check."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._up = self._since = time.monotonic()
        self._requests, self._busy_s = 0, 0.0

    @contextmanager
    def request(self) -> Iterator[None]:
        """Context of one request in the engine."""
        if not self._requests:
            self._since = time.monotonic()
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1
            if not self._requests:
                self._busy_s += time.monotonic() - self._since

    def report(self) -> None:
        """Set the engine's metrics."""
        now = time.monotonic()
        busy = self._busy_s + (now - self._since if self._requests else 0.0)
        self._metrics.record("oasis_engine_requests", self._requests)
        self._metrics.record("oasis_engine_seconds_total", now - self._up)
        self._metrics.record("oasis_engine_busy_seconds_total", busy)
