"""The order of judges: which one costs least, where every row's verdicts are known.

Judges that stand next to each other reject on their own, so their order changes what is asked and not what is accepted.
What a set of them leaves over does not depend on the order within it; so the best way to any set is the best way to one
judge less, and all orders are compared without trying each.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, computed_field

from oasis_ray.recipe.recipe import Node, Ref

EXACT = 8  # judges; of more, each place is given to the judge that turns most down for what it costs


class JudgeOrder(BaseModel):
    """Judges as they stand, the order that costs least, and the work for a row in both, all nodes counted."""

    judges: tuple[str, ...]
    best: tuple[str, ...]
    work: float
    best_work: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def saving(self) -> float:
        """The share of the work that the best order saves."""
        return 1 - self.best_work / self.work if self.work else 0.0


def groups(nodes: Sequence[Node]) -> list[tuple[str, ...]]:
    """The judges that may change places: next to each other on a route, none fed by another."""
    found: list[list[Node]] = []
    for route in dict.fromkeys(node.route for node in nodes):
        here: list[Node] = []
        for node in (node for node in nodes if node.route is route):
            if not node.stage.judges or _feeds(here, node):
                here = []
            if node.stage.judges:
                if not here:
                    found.append(here)
                here.append(node)
    return [tuple(node.name for node in group) for group in found if len(group) > 1]


def _feeds(before: Sequence[Node], node: Node) -> bool:
    wires = [ref for wire in node.inputs.values() for ref in ([wire] if isinstance(wire, Ref) else wire.values())]
    return bool({ref.node for ref in wires} & {one.name for one in before})


def best_order(
    judges: Sequence[str], passes: Mapping[str, NDArray[np.bool_]], work: Mapping[str, NDArray[np.float64]]
) -> tuple[str, ...]:
    """The order in which these judges do least work on these rows. Of equal ones the first, as they are given."""
    if len(judges) > EXACT:
        return _greedy(judges, passes, work)
    best: dict[frozenset[str], tuple[float, tuple[str, ...]]] = {frozenset(): (0.0, ())}
    for size in range(1, len(judges) + 1):
        for some in combinations(judges, size):
            ways = []
            for last in reversed(some):
                done, order = best[frozenset(some) - {last}]
                ways.append((done + float(work[last][_left(order, passes, len(work[last]))].sum()), (*order, last)))
            best[frozenset(some)] = min(ways, key=lambda way: way[0])
    return best[frozenset(judges)][1]


def work_of(
    order: Sequence[str], passes: Mapping[str, NDArray[np.bool_]], work: Mapping[str, NDArray[np.float64]]
) -> float:
    """The work of judges in this order on all rows: each sees what those before it have let through."""
    return sum(
        float(work[name][_left(order[:place], passes, len(work[name]))].sum()) for place, name in enumerate(order)
    )


def _greedy(
    judges: Sequence[str], passes: Mapping[str, NDArray[np.bool_]], work: Mapping[str, NDArray[np.float64]]
) -> tuple[str, ...]:
    order: list[str] = []
    while rest := [name for name in judges if name not in order]:
        left = _left(order, passes, len(work[rest[0]]))

        def price(name: str, left: NDArray[np.bool_] = left) -> float:
            turned_down = int((left & ~passes[name]).sum())
            return float(work[name][left].sum()) / turned_down if turned_down else float("inf")

        order.append(min(rest, key=price))
    return tuple(order)


def _left(done: Sequence[str], passes: Mapping[str, NDArray[np.bool_]], rows: int) -> NDArray[np.bool_]:
    left = np.ones(rows, dtype=bool)
    for name in done:
        left &= passes[name]
    return left
