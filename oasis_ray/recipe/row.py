"""The row that passes through the nodes of a recipe."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oasis_ray.recipe.recipe import Ref
from oasis_ray.types import OUTCOME_OF, Divert, Outcome, Route


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


@dataclass(slots=True)
class Row:
    """A row in flight: its source, the outputs of its nodes, its current node, and how it ended.

    `first` is the first judge that rejected a fully scored row, with its decision. `waits`: the row has not ended,
    because the pool of node `at` is not running in this phase.
    """

    id: str
    address: Mapping[str, Any]
    image: Mapping[str, Any] | None
    digest: str | None
    route: Route = Route.MAIN
    node: str | None = None
    reason: str | None = None
    detail: str | None = None
    in_full: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    lineage: list[dict[str, Any]] = field(default_factory=list)
    origin: str | None = None
    at: str = "admit"
    since: float = field(default_factory=time.monotonic)
    first: tuple[str, Divert] | None = None
    waits: bool = False
    seconds: float = 0.0  # in flight

    @property
    def outcome(self) -> Outcome:
        """Where the row ended."""
        return OUTCOME_OF[self.route]

    def value(self, ref: Ref) -> Any:
        """Return the value that a reference points to."""
        return getattr(self.values[ref.node], ref.field)
