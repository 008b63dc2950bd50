"""Capacity: the resources that a job's engines need, and whether they fit on the nodes of a cluster."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from oasis_ray.cluster.nodes import COUNTED, Node, gpu_types
from oasis_ray.errors import FitError

ROUNDING = 1e-9


@dataclass(frozen=True)
class Need:
    """Resources of one pool's minimum number of engines. `most` is the maximum."""

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
            f"{len(self.bundles)} x {_amounts(_countable(self.bundles[0]))}{kind}" if self.gpus else "on any free CPUs"
        )
        packed = " on one node" if self.gpus and len(self.bundles) > 1 and self.strategy == "STRICT_PACK" else ""
        return f"{self.engines} engine{'s' * (self.engines > 1)}, each {each}{packed}"


def fit(wanted: list[Need], have: list[Node]) -> None:
    """Return if all needs fit together on these nodes. Raises FitError, with the pools that don't fit.

    Best fit, as Ray packs them: engines are placed one by one, the widest first, each on the node with the least free
    capacity that still holds it. A share of a GPU is a share of one GPU.
    """
    free = [
        _Capacity(node.resources.get("CPU", 0), [1.0] * int(node.resources.get("GPU", 0)), frozenset(node.resources))
        for node in have
    ]
    missing = []
    for need in sorted(wanted, key=lambda need: (-len(need.bundles), -need.bundles[0].get("GPU", 0))):
        placed = sum(_place(need, free) for _ in range(need.engines))
        if placed < need.engines:
            missing.append(f"pool '{need.pool}' needs {need}; there is room for {placed}")
    if missing:
        available = "; ".join(_describe(node) for node in have)
        raise FitError("\n".join([*missing, f"available: {available}"]))


@dataclass
class _Capacity:
    """Free capacity of a node: CPUs, the free share of each GPU, and the names of all its resources."""

    cpus: float
    gpus: list[float]
    names: frozenset[str]

    def take(self, bundles: Iterable[Mapping[str, float]]) -> bool:
        """Reserve all bundles if they fit, else none. Return whether they fit."""
        cpus, gpus = self.cpus, list(self.gpus)
        for bundle in bundles:
            cpus -= bundle.get("CPU", 0)
            share = bundle.get("GPU", 0)
            fitting = [gpu for gpu, free in enumerate(gpus) if free >= share - ROUNDING]
            if cpus < -ROUNDING or (share and not fitting) or not self.names >= {n for n in bundle if n not in COUNTED}:
                return False
            if share:
                gpus[min(fitting, key=gpus.__getitem__)] -= share
        self.cpus, self.gpus = cpus, gpus
        return True


def _place(need: Need, free: list[_Capacity]) -> bool:
    groups = [need.bundles] if need.strategy == "STRICT_PACK" else [(bundle,) for bundle in need.bundles]
    before = [replace(room, gpus=list(room.gpus)) for room in free]
    for group in groups:
        if not any(room.take(group) for room in sorted(free, key=lambda room: sum(room.gpus))):
            free[:] = before
            return False
    return True


def _describe(node: Node) -> str:
    types = gpu_types(node.resources)
    return f"{node.name}: {_amounts({name: node.resources.get(name, 0) for name in COUNTED})}" + (
        f" ({', '.join(types)})" if types else ""
    )


def _countable(resources: Mapping[str, float]) -> dict[str, float]:
    return {name: amount for name, amount in resources.items() if name in COUNTED}


def _amounts(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {amount:g}" for key, amount in resources.items())
