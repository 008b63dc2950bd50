"""Sums of elements: how many elements of lists each node kept and dropped, in the parts and in the manifest."""

from collections.abc import Mapping, Sequence
from typing import Any

from oasis_ray.errors import counted
from oasis_ray.output.funnel import Exit

KEPT = "kept"
RECOUNT = "if the parts are right, run the job again, which counts them again; else restore them from a copy"

Sums = dict[str, dict[str, int]]  # by node: the elements that it kept, then those that it dropped, by exit


def sums_of(elements: Mapping[tuple[str, str, str], int], nodes: Sequence[str]) -> Sums:
    """Return counts of elements (`Counts.elements`) by node, these `nodes` first: those kept, then by exit."""
    sums: Sums = {name: {KEPT: 0} for name in nodes}
    for (node, outcome, reason), many in sorted(elements.items()):
        sums.setdefault(node, {KEPT: 0})[str(Exit(outcome, reason)) if outcome else KEPT] = many
    return sums


def sentence(sums: Mapping[str, int]) -> str:
    """Return the sums of a node in words: "5 elements = 3 kept + 2 rejected: score_1"."""
    return f"{counted(sum(sums.values()), 'element')} = {' + '.join(f'{many} {end}' for end, many in sums.items())}"


def differences(
    found: Mapping[tuple[str, str, str], int], manifest: Mapping[str, Any], nodes: Sequence[str]
) -> list[str]:
    """Return a fault for each node whose sums in the parts are not those in the manifest."""
    stated = {(one["node"], one["outcome"], one["reason"]): one["elements"] for one in manifest.get("elements", ())}
    here, there, none = sums_of(found, nodes), sums_of(stated, nodes), {KEPT: 0}
    return [
        f"node '{name}': run.json records {sentence(there.get(name, none))}, the parts hold "
        f"{sentence(here.get(name, none))}; {RECOUNT}"
        for name in {**here, **there}
        if here.get(name, none) != there.get(name, none)
    ]
