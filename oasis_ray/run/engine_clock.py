"""Engine clock: how long the engines of a session have run, and the GPUs that they held."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from oasis_ray.job.pool import Pool
from oasis_ray.pool.replica_groups import ReplicaGroup


@dataclass
class EngineClock:
    """Seconds of running engines by pool, from one look to the next.

    gpus: for each pool whether it runs on GPUs. looked: when the clock was started, in monotonic seconds.
    """

    pools: Mapping[str, Pool]
    gpus: Mapping[str, bool]
    looked: float
    engines: dict[str, dict[str, int]] = field(init=False, default_factory=dict)
    engine_seconds: dict[str, float] = field(init=False)
    gpu_seconds: dict[str, float] = field(init=False)
    gpu_seconds_of_types: dict[str, dict[str, float]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.engine_seconds = dict.fromkeys(self.pools, 0.0)
        self.gpu_seconds = dict.fromkeys(self.pools, 0.0)

    def look(self, groups: Iterable[tuple[ReplicaGroup, Mapping[str, int]]], now: float) -> dict[str, dict[str, int]]:
        """Add the time since the last look for the engines that run now.

        Return the pools whose numbers of engines by state have changed, with the new numbers. `gpu_seconds_of_types`
        covers the engines on a type of GPU that the pool names.
        """
        engines: dict[str, Counter[str]] = {name: Counter() for name in self.pools}
        for group, counts in groups:
            engines[group.pool].update(counts)
            seconds = counts["running"] * (now - self.looked)
            self.engine_seconds[group.pool] += seconds
            if self.gpus[group.pool]:
                seconds *= group.config.gpus_per_engine * group.config.gpu_share
                self.gpu_seconds[group.pool] += seconds
                if (name := group.config.gpu_type) is not None:
                    typed = self.gpu_seconds_of_types.setdefault(group.pool, {})
                    typed[name] = typed.get(name, 0.0) + seconds
        changed = {name: dict(counts) for name, counts in engines.items() if counts != self.engines.get(name)}
        self.engines, self.looked = {name: dict(counts) for name, counts in engines.items()}, now
        return changed

    def measured(self) -> dict[str, dict[str, object]]:
        """The seconds for the manifest, to a tenth."""
        return {
            "engine_seconds": _rounded(self.engine_seconds),
            "gpu_seconds": _rounded(self.gpu_seconds),
            "gpu_seconds_of_types": {pool: _rounded(typed) for pool, typed in self.gpu_seconds_of_types.items()},
        }


def _rounded(seconds: Mapping[str, float]) -> dict[str, object]:
    return {name: round(value, 1) for name, value in seconds.items()}
