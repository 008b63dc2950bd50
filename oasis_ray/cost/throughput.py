"""The pace of a probe, and what follows from it for the time, the GPU-hours and the bottleneck of the whole job.

A pool's engines are at work for so many seconds a row, and the job takes as long as its busiest pool. How much of the
time a pool was at work is told from the requests that its engines held, by two laws which bound it. An engine that
shares itself among L of them is at work for L / (1 + L) of the time. One that goes as much faster as it has requests
was at work as much less than the fullest as it held fewer.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from oasis_ray.cost.bill import HOUR_S
from oasis_ray.cost.estimate import TAILS, Array, Estimate


class Size(BaseModel):
    """So many engines in each pool, and what the job would take with them."""

    model_config = ConfigDict(frozen=True)

    engines: dict[str, float]
    bottleneck: str
    sure: float  # the share of bootstrap samples in which this pool is the bottleneck
    wall_s: Estimate
    gpu_hours: dict[str, Estimate]

    @property
    def all_gpu_hours(self) -> Estimate:
        """Of all pools together."""
        every = self.gpu_hours.values()
        low, at, high = (sum(getattr(one, key) for one in every) for key in ("low", "predicted", "high"))
        return Estimate(what="GPU-hours", predicted=at, low=low, high=high)


@dataclass(frozen=True)
class Engines:
    """A pool's engines in the probe: how many on average, the GPUs of each, and the seconds of requests in them all."""

    count: float
    gpus: float
    held_s: float


@dataclass(frozen=True)
class Throughput:
    """How a probe of so many `rows` went: `seconds` from the first row begun to the last one ended, `loading` the
    engines before, and `around` them (starting to read, closing). `filled` is the share of the places for rows in
    flight that were taken, on average: 1 for a long run, less for a probe whose run-down is a good part of it.
    """

    pools: Mapping[str, Engines]
    rows: int
    seconds: float
    loading: float
    around: float
    filled: float

    @classmethod
    def of(cls, manifest: Mapping[str, Any], total: int) -> "Throughput | None":
        """The pace of a run, as a probe of `total` rows; None where its sessions have measured none."""
        sessions = [
            one for one in manifest["sessions"] if one.get("seconds_of_rows") and any(one["engine_seconds"].values())
        ]
        job, pool_of = manifest["job"], {node["name"]: node["pool"] for node in manifest["nodes"]}
        held: Counter[str] = Counter()
        for node, cost in manifest["cost"].items():
            held[pool_of[node]] += cost["seconds"]
        if not sessions or not held.total():
            return None
        whole, of_rows = (sum(one.get(key, 0.0) for one in sessions) for key in ("seconds", "seconds_of_rows"))
        pools = {}
        for name in job["pools"]:
            up, gpu_s = (sum(one[key].get(name, 0.0) for one in sessions) for key in ("engine_seconds", "gpu_seconds"))
            least, most = job["pools"][name]["replicas"]
            count = least if least == most else max(1.0, round(up / whole, 1))
            pools[name] = Engines(float(count), gpu_s / up if up else 0.0, held[name])
        at_once = sum(one["rows_at_once"] * one["seconds_of_rows"] for one in sessions) / of_rows
        return cls(
            pools=pools,
            rows=sum(one["rows"] for one in sessions),
            seconds=of_rows,
            loading=sum(one["seconds_loading"] for one in sessions) / len(sessions),
            around=(whole - of_rows) / len(sessions),
            filled=min(1.0, at_once / min(job["rows_in_flight"], total)),
        )

    def busy(self, pool: str) -> float:
        """The share of the time that an engine of this pool was at work, if it shared itself among its requests."""
        held = self._at_once(pool)
        return held / (1 + held)

    def work(self, pool: str) -> float:
        """The seconds of an engine at work that stand behind one second of a request in it, by the same law."""
        return 1 / (1 + self._at_once(pool))

    def size(
        self, held: Mapping[str, Array], draws: Array, total: int, engines: Mapping[str, float] | None = None
    ) -> Size:
        """What `total` rows take, of which `held` has the seconds in each pool's engines, for the rows of the probe.

        `engines` are those of each pool, where they are not the probe's. With the probe's own, as much work a row as in
        the probe takes as long a row.
        """
        count = {pool: one.count for pool, one in self.pools.items()} | dict(engines or {})
        fullest = max(self.pools, key=self._at_once)
        most = self.busy(fullest)
        # Seconds of work a row by the two laws: in proportion to the requests held, and shared among them.
        laws = [
            {pool: held[pool] * each(pool) / count[pool] / most for pool in self.pools}
            for each in (lambda _: self.work(fullest), self.work)
        ]
        names = list(self.pools)
        loads = [np.array([draws @ law[name] for name in names]) for law in laws]
        means = [np.array([law[name].mean() for name in names]) for law in laws]
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

    def _at_once(self, pool: str) -> float:
        """The requests that one engine held, on average."""
        return self.pools[pool].held_s / (self.seconds * self.pools[pool].count)

    def _least(self, second_a_row: float, total: int) -> float:
        """The seconds of `total` rows if engines go faster with more rows in flight; the run-down comes once."""
        return second_a_row * (self.filled * total + (1 - self.filled) * self.rows)
