"""Capacity: what the engines of a job need, what machines have, and whether the one fits into the other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from oasis_ray.errors import FitError
from oasis_ray.job import Pool
from oasis_ray.kinds import kinds

ROUNDING = 1e-9
COUNTED = ("CPU", "GPU")
TYPE_MARK = "accelerator_type:"  # before a GPU's type, in Ray's name for what a node has
A_TRACE = 0.001  # of a node's mark, to be placed by it: a thousand find room
CPU_BUNDLE = {"CPU": 0.1}  # an engine on CPUs takes what is free; the placement group needs some resource to hold


@dataclass(frozen=True)
class Node:
    """A machine and what it has in all; `id` is Ray's name for it."""

    name: str
    resources: Mapping[str, float]
    id: str = ""


@dataclass(frozen=True)
class Need:
    """What the least number of engines of one pool asks for."""

    pool: str
    engines: int
    bundles: tuple[Mapping[str, float], ...]
    strategy: str
    gpus: bool
    gpu_type: str | None = None
    most: int = 0

    def __str__(self) -> str:
        kind = f" ({self.gpu_type})" if self.gpu_type else ""
        each = (
            f"{len(self.bundles)} x {_shown(_countable(self.bundles[0]))}{kind}"
            if self.gpus
            else "CPUs as they are free"
        )
        packed = " on one node" if self.gpus and len(self.bundles) > 1 and self.strategy == "STRICT_PACK" else ""
        return f"{self.engines} engine{'s' * (self.engines > 1)}, each {each}{packed}"


def placement(pool: Pool, *, gpus: bool) -> tuple[list[dict[str, float]], str]:
    """The bundles of one engine and how they are placed: a tensor-parallel group stays on one node."""
    if not gpus:
        return [CPU_BUNDLE], "PACK"
    bundle = {"GPU": pool.gpu_share} | ({f"{TYPE_MARK}{pool.gpu_type}": A_TRACE} if pool.gpu_type else {})
    return [bundle] * pool.gpus_per_engine, "STRICT_PACK" if pool.pipeline_parallel == 1 else "PACK"


def engines_on_cpus(pools: Mapping[str, Pool], gpus: Mapping[str, bool]) -> int:
    """How many engines compute on CPUs when each pool has its most."""
    computing = [kind for kind in kinds(pools) if kind.make.backend == "vllm" and not gpus[kind.pool]]
    return sum(kind.make.replicas[1] for kind in computing)


def gpu_types(resources: Iterable[str]) -> list[str]:
    """The types of the GPUs of a node, as Ray names them; none where it has none or does not know."""
    if "GPU" not in resources:
        return []
    return [name.removeprefix(TYPE_MARK) for name in resources if name.startswith(TYPE_MARK)]


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
    for kind in kinds(pools):
        bundles, strategy = placement(kind.make, gpus=gpus[kind.pool])
        need = Need(
            kind.pool, kind.make.replicas[0], tuple(bundles), strategy, gpus[kind.pool], kind.make.gpu_type,
            kind.make.replicas[1],
        )  # fmt: skip
        found.append(need)
    return found


def fit(wanted: list[Need], have: list[Node]) -> None:
    """Return if all needs fit together on these nodes. Raises FitError with what is lacking.

    Engines are laid one by one, the widest first, on the node with the least room that still holds them, as Ray packs
    them. A share of a GPU is a share of one GPU.
    """
    free = [
        _Room(node.resources.get("CPU", 0), [1.0] * int(node.resources.get("GPU", 0)), frozenset(node.resources))
        for node in have
    ]
    missing = []
    for need in sorted(wanted, key=lambda need: (-len(need.bundles), -need.bundles[0].get("GPU", 0))):
        placed = sum(_place(need, free) for _ in range(need.engines))
        if placed < need.engines:
            missing.append(f"pool '{need.pool}' needs {need}; there is room for {placed}")
    if missing:
        has = "; ".join(_told(node) for node in have)
        raise FitError("\n".join([*missing, f"available: {has}"]))


@dataclass
class _Room:
    """What is free on a node: CPUs, and the free share of each GPU; and the names of all that it has."""

    cpus: float
    gpus: list[float]
    names: frozenset[str]

    def take(self, bundles: Iterable[Mapping[str, float]]) -> bool:
        """Take all bundles if there is room for them, else none."""
        cpus, gpus = self.cpus, list(self.gpus)
        for bundle in bundles:
            cpus -= bundle.get("CPU", 0)
            share = bundle.get("GPU", 0)
            fitting = [place for place, rest in enumerate(gpus) if rest >= share - ROUNDING]
            if cpus < -ROUNDING or (share and not fitting) or not self.names >= {n for n in bundle if n not in COUNTED}:
                return False
            if share:
                gpus[min(fitting, key=gpus.__getitem__)] -= share
        self.cpus, self.gpus = cpus, gpus
        return True


def _place(need: Need, free: list[_Room]) -> bool:
    groups = [need.bundles] if need.strategy == "STRICT_PACK" else [(bundle,) for bundle in need.bundles]
    before = [replace(room, gpus=list(room.gpus)) for room in free]
    for group in groups:
        if not any(room.take(group) for room in sorted(free, key=lambda room: sum(room.gpus))):
            free[:] = before
            return False
    return True


def _told(node: Node) -> str:
    types = gpu_types(node.resources)
    return f"{node.name}: {_shown({name: node.resources.get(name, 0) for name in COUNTED})}" + (
        f" ({', '.join(types)})" if types else ""
    )


def _countable(resources: Mapping[str, float]) -> dict[str, float]:
    return {name: amount for name, amount in resources.items() if name in COUNTED}


def _shown(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {amount:g}" for key, amount in resources.items())
