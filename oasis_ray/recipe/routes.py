"""Routes: the ways that rows can take through the nodes of a recipe.

Every row begins on the route `main`. A node sends rows to another route in two ways: its stage diverts some of them
(`exits`; such a row has the outputs of the nodes before, and that of the stage if it says so), or all rows that pass
the node change to the route `to`. A row passes the nodes of the route that it is on. Nodes are passed in the order of
the recipe, so no row comes back.
"""

from collections.abc import Collection, Iterator, Sequence

from oasis_ray.recipe.recipe import Node
from oasis_ray.types import DROPPED, MAIN


def diverted(node: Node) -> Iterator[str]:
    """Yield the routes to which a node may divert rows, without the outcomes `rejected` and `failed`."""
    yield from (route for route in dict.fromkeys(node.exits.values()) if route not in DROPPED)


def certain(nodes: Sequence[Node], names: Collection[str]) -> dict[str, bool]:
    """Return for each route that has rows after `nodes` whether all of its rows have passed one of the nodes `names`.

    It is one pass over the nodes; where ways meet, a fact must hold on all of them.
    """
    passed = {MAIN: False}
    for node in nodes:
        if node.route not in passed:
            continue
        before = passed[node.route]
        passed[node.route] = through = before or node.name in names
        for route in diverted(node):
            passed[route] = passed.get(route, True) and (through if route in node.routes_with_output else before)
        if node.to:
            del passed[node.route]
            passed[node.to] = passed.get(node.to, True) and through
    return passed


def possible(nodes: Sequence[Node], route: str) -> list[Node]:
    """Return the nodes that some row on `route` has passed after `nodes`, in order."""
    passed: dict[str, set[str]] = {MAIN: set()}
    for node in nodes:
        if node.route not in passed:
            continue
        before = passed[node.route]
        passed[node.route] = through = before | {node.name}
        for exit_ in diverted(node):
            passed[exit_] = passed.get(exit_, set()) | (through if exit_ in node.routes_with_output else before)
        if node.to:
            del passed[node.route]
            passed[node.to] = passed.get(node.to, set()) | through
    return [node for node in nodes if node.name in passed.get(route, ())]


def paths(nodes: Sequence[Node]) -> tuple[tuple[Node, ...], ...]:
    """Return every sequence of nodes that a row can be at, the main route first.

    A row that is diverted was at the node that diverts it.
    """
    found: dict[str, list[tuple[Node, ...]]] = {MAIN: [()]}
    for node in nodes:
        if node.route not in found:
            continue
        through = [(*path, node) for path in found.pop(node.route)]
        onward = node.to or node.route
        for route in (onward, *diverted(node)):
            found.setdefault(route, []).extend(through)
    every = [path for some in found.values() for path in some]
    return tuple({tuple(node.name for node in path): path for path in every}.values())
