"""Throughput model: predicts time, GPU-hours and bottleneck of a job from the throughput of its probe.

Each row takes some busy time of each pool's engines, and the job takes as long as its busiest pool. The share of time
for which a pool was busy is not measured, but bounded by two models of an engine with L requests at a time on average.
If requests share the engine (constant throughput), it is busy for L / (1 + L) of the time. If throughput grows in
proportion to L, it is busy in proportion to L, relative to the pool with the most requests per engine.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from oasis_ray.cost.bill import HOUR_S
from oasis_ray.cost.interval_estimate import TAILS, Array, Estimate


class Size(BaseModel):
    """A number of engines in each pool, and the time and GPU-hours of the job with them."""

    model_config = ConfigDict(frozen=True)

    engines: dict[str, float]
    bottleneck: str
    sure: float  # the share of bootstrap samples in which this pool is the bottleneck
    wall_s: Estimate
    gpu_hours: dict[str, Estimate]

    @property
    def all_gpu_hours(self) -> Estimate:
        """The GPU-hours of all pools together."""
        pools = self.gpu_hours.values()
        low, at, high = (sum(getattr(hours, key) for hours in pools) for key in ("low", "predicted", "high"))
        return Estimate(what="GPU-hours", predicted=at, low=low, high=high)


@dataclass(frozen=True)
class Engines:
    """Engines of a pool in the probe: average number, GPUs per engine, and total seconds of requests in them."""

    count: float
    gpus: float
    held_s: float


@dataclass(frozen=True)
class Throughput:
    """Measured throughput of a probe of `rows` rows.

    `seconds` is the time from the start of the first row to the end of the last one, `loading` that of loading the
    engines before, `around` the rest (start of reading, finalizing). `filled` is the average number of rows in flight
    relative to its limit: 1 for a long run, less for a probe that drains for a large part of its time.
    """

    pools: Mapping[str, Engines]
    rows: int
    seconds: float
    loading: float
    around: float
    filled: float

    @classmethod
    def of(cls, manifest: Mapping[str, Any], total: int) -> "Throughput | None":
        """Return the throughput of a run, as a probe for `total` rows; None if its sessions did not measure it."""
        sessions = [
            session
            for session in manifest["sessions"]
            if session.get("seconds_of_rows") and any(session["engine_seconds"].values())
        ]
        job, pool_of = manifest["job"], {node["name"]: node["pool"] for node in manifest["nodes"]}
        held: Counter[str] = Counter()
        for node, usage in manifest["cost"].items():
            held[pool_of[node]] += usage["seconds"]
        if not sessions or not held.total():
            return None
        total_s, rows_s = (sum(session.get(key, 0.0) for session in sessions) for key in ("seconds", "seconds_of_rows"))
        pools = {}
        for name in job["pools"]:
            up, gpu_s = (
                sum(session[key].get(name, 0.0) for session in sessions) for key in ("engine_seconds", "gpu_seconds")
            )
            least, most = job["pools"][name]["replicas"]
            count = least if least == most else max(1.0, round(up / total_s, 1))
            pools[name] = Engines(float(count), gpu_s / up if up else 0.0, held[name])
        in_flight = sum(session["rows_at_once"] * session["seconds_of_rows"] for session in sessions) / rows_s
        return cls(
            pools=pools,
            rows=sum(session["rows"] for session in sessions),
            seconds=rows_s,
            loading=sum(session["seconds_loading"] for session in sessions) / len(sessions),
            around=(total_s - rows_s) / len(sessions),
            filled=min(1.0, in_flight / min(job["rows_in_flight"], total)),
        )

    def busy(self, pool: str) -> float:
        """Return the share of time for which an engine of this pool was busy, if its requests share it."""
        requests = self._concurrency(pool)
        return requests / (1 + requests)

    def work(self, pool: str) -> float:
        """Return the busy seconds of an engine per second of a request in it, by the same model."""
        return 1 / (1 + self._concurrency(pool))

    def size(
        self, held: Mapping[str, Array], draws: Array, total: int, engines: Mapping[str, float] | None = None
    ) -> Size:
        """Return the time and GPU-hours of `total` rows.

        `held` has for each pool the seconds of the probe's rows in its engines, [rows]; `draws` are bootstrap weights.
        `engines` are the numbers of engines by pool where they differ from the probe's. With the probe's engines and
        work per row, a row takes as long as in the probe.
        """
        count = {pool: probed.count for pool, probed in self.pools.items()} | dict(engines or {})
        fullest = max(self.pools, key=self._concurrency)
        most = self.busy(fullest)
        # Busy seconds per row by the two models: throughput proportional to the requests, and constant.
        models = [
            {pool: held[pool] * work(pool) / count[pool] / most for pool in self.pools}
            for work in (lambda _: self.work(fullest), self.work)
        ]
        names = list(self.pools)
        loads = [np.array([draws @ model[name] for name in names]) for model in models]
        means = [np.array([model[name].mean() for name in names]) for model in models]
        bottleneck = int((means[0] + means[1]).argmax())
        low = self._least(np.percentile(loads[0].max(axis=0), TAILS[0]), total)
        high = np.percentile(loads[1].max(axis=0), TAILS[1]) * total
        middle = (self._least(means[0].max(), total) + means[1].max() * total) / 2

        def figure(what: str, of: str, factor: float, more: float = 0.0) -> Estimate:
            low_, at, high_ = ((self.around + float(value)) * factor + more for value in (low, middle, high))
            return Estimate(what=what, of=of, predicted=at, low=low_, high=high_)

        return Size(
            engines=count,
            bottleneck=names[bottleneck],
            sure=float(((loads[0] + loads[1]).argmax(axis=0) == bottleneck).mean()),
            wall_s=figure("wall time, s", "", 1, self.loading),
            gpu_hours={name: figure("GPU-hours", name, count[name] * self.pools[name].gpus / HOUR_S) for name in names},
        )

    def _concurrency(self, pool: str) -> float:
        """Return the average number of requests in one engine."""
        return self.pools[pool].held_s / (self.seconds * self.pools[pool].count)

    def _least(self, seconds_per_row: float, total: int) -> float:
        """Return the seconds of `total` rows if engines are faster with all slots filled; the run drains only once."""
        return seconds_per_row * (self.filled * total + (1 - self.filled) * self.rows)
