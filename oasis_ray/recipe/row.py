"""The row that passes through the nodes of a recipe."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oasis_ray.errors import RunError
from oasis_ray.recipe.elements import Elements
from oasis_ray.recipe.recipe import NULL, Ref, Refs
from oasis_ray.types import MAIN, Divert


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a row, as its lineage keeps it: where it went, with which seed, and what it took.

    The order and types of the fields are those of the column `lineage` (`output.schema.STEP`).
    """

    node: str
    digest: str
    seed: int
    finish: str
    prompt_tokens: int
    cached_tokens: int
    reply_tokens: int
    started: float  # UNIX time
    seconds: float
    engine: str
    engine_seconds: float
    element: int | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A row's change to another route: the node, the new route, and why its stage diverted it.

    Reason and detail are empty if it passed the node, and continues on the route of the node's `to`.
    """

    node: str
    route: str
    reason: str
    detail: str


@dataclass(slots=True)
class Row:
    """A row in flight: its source, the outputs of its nodes (`values`), its current node, and how it ended.

    `node`, `reason` and `detail` say why a row is rejected or failed. `first` is the first judge that rejected a fully
    scored row, with its decision. `waits`: the row has not ended, because the pool of node `at` is not running in this
    phase.
    """

    id: str
    address: Mapping[str, Any]
    image: Mapping[str, Any] | None
    digest: str | None
    route: str = MAIN
    node: str | None = None
    reason: str | None = None
    detail: str | None = None
    in_full: bool = False
    source: Mapping[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)  # columns of the input that records keep
    lineage: list[dict[str, Any]] = field(default_factory=list)
    moves: list[dict[str, Any]] = field(default_factory=list)
    origin: str | None = None
    at: str = "admit"
    since: float = field(default_factory=time.monotonic)
    first: tuple[str, Divert] | None = None
    waits: bool = False
    seconds: float = 0.0  # in flight

    def value(self, refs: Refs) -> Any:
        """Return the first value of the references that the row has; None for `NULL`, and for a null of the source.

        Raises KeyError if it has none; checks of the recipe's bindings prevent that in a run.
        """
        for ref in refs:
            if ref == NULL:
                return None
            if ref.node == "source" and (self.source[ref.field] is not None or ref is refs[-1]):
                return self._left(ref, self.source[ref.field])
            if ref.node in self.values:
                output = self.values[ref.node]
                if isinstance(output, Elements):
                    last = self.elements(output.group) or output
                    return output.column(ref.field, last.left)
                return self._left(ref, getattr(output, ref.field))
        raise KeyError(*map(str, refs))

    def elements(self, group: str) -> Elements | None:
        """Return the elements of a group after the last node that worked on it, or None if none has."""
        made = [output for output in self.values.values() if isinstance(output, Elements) and output.group == group]
        return made[-1] if made else None

    def _left(self, ref: Ref, value: Any) -> Any:
        """Return a list without the elements that nodes have dropped; another value as it is."""
        elements = self.elements(ref.group) if ref.group else None
        if elements is None:
            return value
        if len(value) != len(elements.results):
            raise RunError(
                f"list '{ref}' has {len(value)} elements, and the list that a node with `for_each` worked on has "
                f"{len(elements.results)}; the lists of one stage must be of equal length"
            )
        return [value[position] for position in elements.left]
