"""Nodes: the machines of a cluster, with their CPUs, GPUs and types of GPU."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

COUNTED = ("CPU", "GPU")
TYPE_MARK = "accelerator_type:"  # prefix of the type of GPU in Ray's resource names
NODE_TOKEN = 0.001  # amount of a node's marker resource that one placement takes: 1000 fit on a node


@dataclass(frozen=True)
class Node:
    """A machine and its total resources; `id` is Ray's node id."""

    name: str
    resources: Mapping[str, float]
    id: str = ""


def gpu_types(resources: Iterable[str]) -> list[str]:
    """Return the types of a node's GPUs, as Ray names them; none if it has no GPU or Ray does not know the type."""
    if "GPU" not in resources:
        return []
    return [name.removeprefix(TYPE_MARK) for name in resources if name.startswith(TYPE_MARK)]
