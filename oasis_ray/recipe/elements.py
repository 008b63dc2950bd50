"""Elements: what a node with `for_each` made of the elements of a list, and which of them are left.

A list and all lists that later nodes made of its elements are a group, named after the node or column that the list
comes from. An element that a node drops is dropped from every list of its group, for all later nodes. So the lists of
a group keep step: the elements at one position belong together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from oasis_ray.stage.signature import build
from oasis_ray.types import Divert

ANY, ALL = "any", "all"  # of the elements must pass a node


@dataclass(frozen=True, slots=True)
class Elements:
    """The results of a node for the elements of group `group`, one per element of the original list.

    A result is the stage's `Out`, a `Divert` for an element that this node dropped, or None for one that an earlier
    node dropped.
    """

    group: str
    results: tuple[Any, ...]

    @property
    def left(self) -> tuple[int, ...]:
        """The positions of the elements that passed the node."""
        return tuple(
            n for n, result in enumerate(self.results) if result is not None and not isinstance(result, Divert)
        )

    def column(self, field: str, left: Sequence[int]) -> list[Any]:
        """Return one field of the outputs at the positions `left`."""
        return [getattr(self.results[position], field) for position in left]

    def ending(self, require: str) -> Divert | None:
        """Return how the row leaves, or None if it continues: with `any` element left, or only if `all` passed."""
        dropped = [result for result in self.results if isinstance(result, Divert)]
        if dropped and require == ALL:
            return dropped[0]
        return dropped[-1] if dropped and not self.left else None

    def outputs(self) -> list[dict[str, Any] | None]:
        """Return the outputs as Arrow takes them; null where there is none."""
        outs = [result.out if isinstance(result, Divert) else result for result in self.results]
        return [None if out is None else asdict(out) for out in outs]

    def summary(self, node: str) -> dict[str, Any]:
        """Return the entry of the column `elements`: how many elements node `node` worked on, and which it dropped."""
        dropped = [
            {"element": n, "outcome": result.route, "reason": result.reason, "detail": result.detail}
            for n, result in enumerate(self.results)
            if isinstance(result, Divert)
        ]
        return {"node": node, "count": sum(result is not None for result in self.results), "dropped": dropped}


def restored(group: str, out_type: type, outputs: Sequence[Any], summary: Mapping[str, Any]) -> Elements:
    """Return the elements that `outputs` and `summary` describe."""
    dropped = {entry["element"]: entry for entry in summary["dropped"]}
    results: list[Any] = []
    for position, output in enumerate(outputs):
        out = None if output is None else build(out_type, output)
        entry = dropped.get(position)
        results.append(Divert(entry["outcome"], entry["reason"], entry["detail"], out) if entry else out)
    return Elements(group, tuple(results))
