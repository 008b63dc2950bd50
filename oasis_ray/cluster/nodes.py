"""Nodes: the machines that there are, with their CPUs, GPUs and types of GPU."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

COUNTED = ("CPU", "GPU")
TYPE_MARK = "accelerator_type:"  # before a GPU's type, in Ray's name for what a node has
NODE_TOKEN = 0.001  # of a node's mark, to be placed by it: a thousand find room


@dataclass(frozen=True)
class Node:
    """A machine and what it has in all; `id` is Ray's name for it."""

    name: str
    resources: Mapping[str, float]
    id: str = ""


def gpu_types(resources: Iterable[str]) -> list[str]:
    """The types of the GPUs of a node, as Ray names them; none where it has none or does not know."""
    if "GPU" not in resources:
        return []
    return [name.removeprefix(TYPE_MARK) for name in resources if name.startswith(TYPE_MARK)]
