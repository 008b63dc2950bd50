"""Scales: the lowest and the highest score that the nodes of a run give, from its manifest."""

from collections.abc import Mapping
from typing import Any

Scale = tuple[int, int]
USUAL: Scale = (1, 5)  # of nodes whose manifest says nothing else, as those of earlier versions


def scales_of(manifest: Mapping[str, Any]) -> dict[str, Scale]:
    """Return the scale of each node whose stage has the parameter `scale`, by the name of the node."""
    found = {}
    for node in manifest["nodes"]:
        scale = node.get("with", {}).get("scale")
        if isinstance(scale, list) and len(scale) == 2 and all(isinstance(end, int) for end in scale):
            found[str(node["name"])] = (scale[0], scale[1])
    return found
