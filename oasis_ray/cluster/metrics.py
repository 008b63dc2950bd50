"""The metrics of a run, each defined once. Ray's node agents show them to Prometheus, with `ray_` before the name.

Labels are few: every metric has `run` (the run folder's name) and `session` (as in the names of its engines and parts),
and those below. No row has a label. A name that ends in `_total` is a counter, all others are gauges.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.util.metrics import Counter, Gauge

METRICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "oasis_rows_total": (
        "Rows that have ended, by outcome; node and reason are empty where no node sent the row away.",
        ("outcome", "node", "reason"),
    ),
    "oasis_rows_in_flight": ("Rows that are being worked on, by the node at which they stand.", ("node",)),
    "oasis_oldest_row_seconds": ("For how long the longest of them has stood there.", ("node",)),
    "oasis_rows_left": ("Rows of the input that have not ended, those in flight among them.", ()),
    "oasis_requests_total": ("Requests that were answered, of rows that have ended.", ("node",)),
    "oasis_request_seconds_total": ("Seconds for which they were waited for; many wait at once.", ("node",)),
    "oasis_tokens_total": (
        "Tokens of rows that have ended, by kind: prompt (read), cached (of these known already), reply (written).",
        ("node", "kind"),
    ),
    "oasis_engines": ("Engines of a pool, by the state of their Serve replica.", ("pool", "state")),
    "oasis_gpu_seconds_total": ("Seconds of running engines times the GPUs that each holds.", ("pool",)),
    "oasis_gpu_seconds_per_accepted_row": ("GPU-seconds of all pools, divided by the accepted rows.", ()),
    "oasis_engine_requests": ("Requests in one engine, waiting or being answered.", ("pool",)),
    "oasis_engine_seconds_total": ("Seconds for which one engine has been up.", ("pool",)),
    "oasis_engine_busy_seconds_total": ("Of these the seconds in which it had at least one request.", ("pool",)),
}


class Metrics:
    """The metrics as one process tells them; `always` are the labels that all its figures have."""

    def __init__(self, **always: str) -> None:
        self._always = always
        self._made: dict[str, Any] = {}
        self._told: dict[tuple[str, ...], float] = {}

    def tell(self, name: str, value: float, **labels: str) -> None:
        """What a metric stands at now, a counter too. Raises KeyError where there is no such metric."""
        help_, keys = METRICS[name]
        counts = name.endswith("_total")
        if name not in self._made:
            tags = tuple(dict.fromkeys((*self._always, *keys)))
            self._made[name] = (Counter if counts else Gauge)(name, description=help_, tag_keys=tags)
        tags_now = self._always | labels
        if not counts:
            self._made[name].set(value, tags=tags_now)
            return
        series = (name, *labels.values())
        # Ray is told by how much a counter has grown. Where it shrank, a watch was lost and begins anew.
        more = value - self._told.get(series, 0.0)
        if more > 0:
            self._made[name].inc(more, tags=tags_now)
            self._told[series] = value


class BusyTime:
    """How busy one engine is. Whoever holds the engine tells it now and then: see `pool.Replica`."""

    def __init__(self, meter: Metrics) -> None:
        self._meter = meter
        self._up = self._since = time.monotonic()
        self._requests, self._busy_s = 0, 0.0

    @contextmanager
    def request(self) -> Iterator[None]:
        """While a request is in the engine."""
        if not self._requests:
            self._since = time.monotonic()
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1
            if not self._requests:
                self._busy_s += time.monotonic() - self._since

    def tell(self) -> None:
        """Set the engine's metrics."""
        now = time.monotonic()
        busy = self._busy_s + (now - self._since if self._requests else 0.0)
        self._meter.tell("oasis_engine_requests", self._requests)
        self._meter.tell("oasis_engine_seconds_total", now - self._up)
        self._meter.tell("oasis_engine_busy_seconds_total", busy)
