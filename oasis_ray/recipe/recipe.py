"""A recipe names the nodes, their order and what feeds what. It holds no logic.

The `…Spec` models are the YAML as it is written; `Recipe`, `Node` and `Record` are the same bound to stages and to each
other (`binding.bind`).
"""

import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from oasis_ray.recipe.spec import RateSpec
from oasis_ray.stage import Stage
from oasis_ray.stage.signature import contract
from oasis_ray.types import Route


@dataclass(frozen=True, slots=True)
class Ref:
    """A value of an earlier node, or of the source."""

    node: str
    field: str

    def __str__(self) -> str:
        return f"{self.node}.{self.field}"


Inputs = Mapping[str, Ref | Mapping[str, Ref]]


@dataclass(frozen=True, slots=True)
class Node:
    """A named call of a stage, bound to what feeds it. `kind` is the stage's name in recipes."""

    name: str
    kind: str
    stage: Stage
    pool: str | None
    route: Route
    inputs: Inputs

    @property
    def in_type(self) -> type:
        """The dataclass that the stage reads."""
        return contract(type(self.stage))[0]

    @property
    def out_type(self) -> type:
        """The dataclass that the stage writes."""
        return contract(type(self.stage))[1]

    @property
    def wires(self) -> dict[str, Any]:
        """What feeds each input, as the recipe writes it."""
        return {key: str(wire) if isinstance(wire, Ref) else {k: str(w) for k, w in wire.items()}
                for key, wire in self.inputs.items()}  # fmt: skip

    @property
    def given(self) -> dict[str, Any]:
        """The parameters of the stage that differ from their defaults. Prompts are there by name and digest."""
        return self.stage.model_dump(mode="json", exclude_defaults=True)

    @property
    def source(self) -> str | None:
        """The SHA-256 of the module of a stage outside the project, whose author need not state a version."""
        if ":" not in self.kind:
            return None
        with suppress(OSError, TypeError):  # without a source file: made in a notebook, or shipped compiled
            return sha256(inspect.getsource(sys.modules[type(self.stage).__module__]).encode()).hexdigest()
        return None

    def digest(self, model: str | None) -> str:
        """What this node computes, in 16 hex digits: the same as long as its outputs are (docs/run-folder.md, Digests).

        It is made of the stage's name in recipes and its version (of a stage outside the project: its source), of the
        parameters that differ from their defaults, prompt texts, what feeds the node, and the model.
        """
        content = [self.kind, self.stage.version, self.source, self.given, self.wires, model]
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Record:
    """A `RecordSpec` bound to nodes."""

    data_source: str
    instruction: Ref
    response: Ref
    scores: Mapping[str, Ref]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Nodes in order, the records that rows become at the end of the two routes, and published rates."""

    name: str
    nodes: tuple[Node, ...]
    records: Mapping[Route, Record]
    rates: tuple[RateSpec, ...] = ()

    @property
    def pool_of(self) -> dict[str, str | None]:
        """The pool of each node, by its name."""
        return {node.name: node.pool for node in self.nodes}


def passed(nodes: Sequence[Node], route: Route) -> list[Node]:
    """The nodes whose outputs every row has that has come through `nodes` on `route`.

    A row leaves the main route at a node that says so (`Stage.routes`), with what the nodes before it wrote.
    """
    leaves = [index for index, node in enumerate(nodes) if route in node.stage.routes]
    if route is Route.MAIN:
        return [node for node in nodes if node.route is route]
    if not leaves:
        return []
    before = [node for node in nodes[: leaves[0]] if node.route is Route.MAIN]
    return before + [node for node in nodes[leaves[-1] + 1 :] if node.route is route]
