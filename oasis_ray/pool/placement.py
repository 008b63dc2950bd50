"""Placement: what each engine of a pool needs, and the placement group that holds it."""

from collections.abc import Mapping

from oasis_ray.cluster.capacity import Need
from oasis_ray.cluster.nodes import NODE_TOKEN, TYPE_MARK, Node
from oasis_ray.job.pool import Pool
from oasis_ray.pool.replica_groups import replica_groups

CPU_BUNDLE = {"CPU": 0.1}  # an engine on CPUs takes what is free; the placement group needs some resource to hold


def placement(pool: Pool, *, gpus: bool) -> tuple[list[dict[str, float]], str]:
    """The bundles of one engine and how they are placed: a tensor-parallel group stays on one node."""
    if not gpus:
        return [CPU_BUNDLE], "PACK"
    bundle = {"GPU": pool.gpu_share} | ({f"{TYPE_MARK}{pool.gpu_type}": NODE_TOKEN} if pool.gpu_type else {})
    return [bundle] * pool.gpus_per_engine, "STRICT_PACK" if pool.pipeline_parallel == 1 else "PACK"


def engines_on_cpus(pools: Mapping[str, Pool], gpus: Mapping[str, bool]) -> int:
    """How many engines compute on CPUs when each pool has its most."""
    computing = [kind for kind in replica_groups(pools) if kind.config.backend == "vllm" and not gpus[kind.pool]]
    return sum(kind.config.replicas[1] for kind in computing)


def on_gpus(pools: Mapping[str, Pool], have: list[Node]) -> dict[str, bool]:
    """For each pool, whether its engines run on GPUs here. A pool of a server or a script runs on none."""
    any_gpu = any(node.resources.get("GPU", 0) > 0 for node in have)
    return {
        name: pool.backend in ("vllm", "simulated") and (pool.device == "gpu" or (pool.device == "auto" and any_gpu))
        for name, pool in pools.items()
    }


def needs(pools: Mapping[str, Pool], gpus: Mapping[str, bool]) -> list[Need]:
    """What each pool asks for before the run can start."""
    found = []
    for kind in replica_groups(pools):
        bundles, strategy = placement(kind.config, gpus=gpus[kind.pool])
        need = Need(
            kind.pool, kind.config.replicas[0], tuple(bundles), strategy, gpus[kind.pool], kind.config.gpu_type,
            kind.config.replicas[1],
        )  # fmt: skip
        found.append(need)
    return found
