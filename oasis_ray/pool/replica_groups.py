"""Kinds of engine: a pool with several types of GPU is one pool to the nodes, and a Serve application for each type."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from oasis_ray.job.pool import Pool


@dataclass(frozen=True)
class ReplicaGroup:
    """The engines of a pool that are on one type of GPU, or all of them; `config` is that part of the pool."""

    pool: str
    config: Pool


def replica_groups(pools: Mapping[str, Pool]) -> list[ReplicaGroup]:
    """The kinds of all pools, in the order of the job."""
    return [ReplicaGroup(name, config) for name, pool in pools.items() for config in _configs(pool)]


def most_engines(pools: Mapping[str, Pool]) -> dict[str, int]:
    """How many engines each pool may have at most, of all types."""
    return {name: sum(config.replicas[1] for config in _configs(pool)) for name, pool in pools.items()}


def _configs(pool: Pool) -> Iterable[Pool]:
    if not pool.gpu_types:
        return [pool]
    return [
        pool.model_copy(update={**one.model_dump(exclude_none=True), "gpu_type": name, "gpu_types": {}})
        for name, one in pool.gpu_types.items()
    ]
