"""Judge order: the cheapest order of judges, given the verdicts of all of them on some rows.

Adjacent judges reject independently, so their order affects the work and not the accepted rows. The rows that a set of
judges passes do not depend on the order within the set, so dynamic programming over sets finds the best order.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, computed_field

from oasis_ray.recipe.recipe import Node

EXACT = 8  # judges; more are ordered greedily, by the work per rejected row


class JudgeOrder(BaseModel):
    """Judges in their current order, the cheapest order, and the work per row of all nodes in both."""

    judges: tuple[str, ...]
    best: tuple[str, ...]
    work: float
    best_work: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def saving(self) -> float:
        """The share of the work that the cheapest order saves."""
        return 1 - self.best_work / self.work if self.work else 0.0


def groups(nodes: Sequence[Node]) -> list[tuple[str, ...]]:
    """Return groups of judges whose order may change: adjacent on a route, none using another's output."""
    candidates: list[list[Node]] = []
    for route in dict.fromkeys(node.route for node in nodes):
        adjacent: list[Node] = []
        for node in (node for node in nodes if node.route == route):
            movable = node.judges and not node.exits and not node.to
            if not movable or _feeds(adjacent, node):
                adjacent = []
            if movable:
                if not adjacent:
                    candidates.append(adjacent)
                adjacent.append(node)
    return [tuple(node.name for node in group) for group in candidates if len(group) > 1]


def _feeds(before: Sequence[Node], node: Node) -> bool:
    return bool({ref.node for ref in node.refs} & {judge.name for judge in before})


def best_order(
    judges: Sequence[str], passes: Mapping[str, NDArray[np.bool_]], work: Mapping[str, NDArray[np.float64]]
) -> tuple[str, ...]:
    """Return the order of least work on these rows; the given order among equal ones.

    `passes` and `work` have for each judge the verdicts and the work by row: [rows].
    """
    if len(judges) > EXACT:
        return _greedy(judges, passes, work)
    best: dict[frozenset[str], tuple[float, tuple[str, ...]]] = {frozenset(): (0.0, ())}
    for size in range(1, len(judges) + 1):
        for subset in combinations(judges, size):
            candidates = []
            for last in reversed(subset):
                done, order = best[frozenset(subset) - {last}]
                candidates.append(
                    (done + float(work[last][_left(order, passes, len(work[last]))].sum()), (*order, last))
                )
            best[frozenset(subset)] = min(candidates, key=lambda candidate: candidate[0])
    return best[frozenset(judges)][1]


def work_of(
    order: Sequence[str], passes: Mapping[str, NDArray[np.bool_]], work: Mapping[str, NDArray[np.float64]]
) -> float:
    """Return the work of judges in this order: each judges the rows that those before it have passed."""
    return sum(
        float(work[name][_left(order[:number], passes, len(work[name]))].sum()) for number, name in enumerate(order)
    )


def _greedy(
    judges: Sequence[str], passes: Mapping[str, NDArray[np.bool_]], work: Mapping[str, NDArray[np.float64]]
) -> tuple[str, ...]:
    order: list[str] = []
    while rest := [name for name in judges if name not in order]:
        left = _left(order, passes, len(work[rest[0]]))

        def price(name: str, left: NDArray[np.bool_] = left) -> float:
            rejected = int((left & ~passes[name]).sum())
            return float(work[name][left].sum()) / rejected if rejected else float("inf")

        order.append(min(rest, key=price))
    return tuple(order)


def _left(done: Sequence[str], passes: Mapping[str, NDArray[np.bool_]], rows: int) -> NDArray[np.bool_]:
    left = np.ones(rows, dtype=bool)
    for name in done:
        left &= passes[name]
    return left
