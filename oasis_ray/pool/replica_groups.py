"""Replica groups: a pool with several types of GPU is one pool to the nodes, and one Serve application per type."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from oasis_ray.job.pool import Pool


@dataclass(frozen=True)
class ReplicaGroup:
    """A pool's engines on one type of GPU, or all of them; `config` is the pool with the settings of that type."""

    pool: str
    config: Pool


def replica_groups(pools: Mapping[str, Pool]) -> list[ReplicaGroup]:
    """Return the groups of all pools, in the order of the job."""
    return [ReplicaGroup(name, config) for name, pool in pools.items() for config in _configs(pool)]


def most_engines(pools: Mapping[str, Pool]) -> dict[str, int]:
    """Return each pool's maximum number of engines, of all types."""
    return {name: sum(config.replicas[1] for config in _configs(pool)) for name, pool in pools.items()}


def _configs(pool: Pool) -> Iterable[Pool]:
    if not pool.gpu_types:
        return [pool]
    return [
        pool.model_copy(update={**settings.model_dump(exclude_none=True), "gpu_type": name, "gpu_types": {}})
        for name, settings in pool.gpu_types.items()
    ]
