"""Placement: the resources of a pool's engines, and their placement groups."""

from collections.abc import Mapping

from oasis_ray.cluster.capacity import Need
from oasis_ray.cluster.nodes import NODE_TOKEN, TYPE_MARK, Node
from oasis_ray.job.pool import Pool
from oasis_ray.pool.replica_groups import replica_groups

CPU_BUNDLE = {"CPU": 0.1}  # an engine uses whatever CPUs are free; a placement group needs some resource


def placement(pool: Pool, *, gpus: bool) -> tuple[list[dict[str, float]], str]:
    """Return the bundles of one engine and their strategy: a tensor-parallel group is placed on one node."""
    if not gpus:
        return [CPU_BUNDLE], "PACK"
    bundle = {"GPU": pool.gpu_share} | ({f"{TYPE_MARK}{pool.gpu_type}": NODE_TOKEN} if pool.gpu_type else {})
    return [bundle] * pool.gpus_per_engine, "STRICT_PACK" if pool.pipeline_parallel == 1 else "PACK"


def engines_on_cpus(pools: Mapping[str, Pool], gpus: Mapping[str, bool]) -> int:
    """Return the number of engines that compute on CPUs when every pool has its maximum."""
    computing = [group for group in replica_groups(pools) if group.config.backend == "vllm" and not gpus[group.pool]]
    return sum(group.config.replicas[1] for group in computing)


def on_gpus(pools: Mapping[str, Pool], nodes: list[Node]) -> dict[str, bool]:
    """Return for each pool whether its engines run on GPUs of these nodes; those of a server or script never do."""
    any_gpu = any(node.resources.get("GPU", 0) > 0 for node in nodes)
    return {
        name: pool.backend in ("vllm", "simulated") and (pool.device == "gpu" or (pool.device == "auto" and any_gpu))
        for name, pool in pools.items()
    }


def needs(pools: Mapping[str, Pool], gpus: Mapping[str, bool]) -> list[Need]:
    """Return the resources that each replica group needs for the run to start."""
    result = []
    for group in replica_groups(pools):
        pool, on_gpu = group.config, gpus[group.pool]
        bundles, strategy = placement(pool, gpus=on_gpu)
        minimum, maximum = pool.replicas
        result.append(Need(group.pool, minimum, tuple(bundles), strategy, on_gpu, pool.gpu_type, maximum))
    return result
