"""A bound recipe: its nodes, their order and their references. It holds no logic.

The `…Spec` models (`recipe.spec`) mirror the YAML file; `Recipe`, `Node` and `Record` are the same after binding to
stages and to each other (`binding.bind`).
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
    """A reference to an output of an earlier node, or to a column of the source."""

    node: str
    field: str

    def __str__(self) -> str:
        return f"{self.node}.{self.field}"


Inputs = Mapping[str, Ref | Mapping[str, Ref]]


@dataclass(frozen=True, slots=True)
class Node:
    """A named call of a stage, with its inputs bound. `kind` is the name of the stage in recipes."""

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
        """The reference of each input, as written in the recipe."""
        return {key: str(wire) if isinstance(wire, Ref) else {k: str(w) for k, w in wire.items()}
                for key, wire in self.inputs.items()}  # fmt: skip

    @property
    def given(self) -> dict[str, Any]:
        """The parameters of the stage that differ from their defaults. Prompts are given by name and digest."""
        return self.stage.model_dump(mode="json", exclude_defaults=True)

    @property
    def source(self) -> str | None:
        """The SHA-256 of the module of an external stage, whose author need not maintain a version."""
        if ":" not in self.kind:
            return None
        with suppress(OSError, TypeError):  # no source file: defined in a notebook, or compiled
            return sha256(inspect.getsource(sys.modules[type(self.stage).__module__]).encode()).hexdigest()
        return None

    def digest(self, model: str | None) -> str:
        """Return a digest of what this node computes, 16 hex digits (docs/run-folder.md, Digests).

        It covers the name and version of the stage (of an external stage: its source), parameters that differ from
        their defaults, prompt texts, the references of the inputs, and the model.
        """
        content = [self.kind, self.stage.version, self.source, self.given, self.wires, model]
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Record:
    """A `RecordSpec` with its references bound to nodes."""

    data_source: str
    instruction: Ref
    response: Ref
    scores: Mapping[str, Ref]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Nodes in order, the record of each of the two routes, and published rates."""

    name: str
    nodes: tuple[Node, ...]
    records: Mapping[Route, Record]
    rates: tuple[RateSpec, ...] = ()

    @property
    def pool_of(self) -> dict[str, str | None]:
        """The pool of each node, by the name of the node."""
        return {node.name: node.pool for node in self.nodes}


def passed(nodes: Sequence[Node], route: Route) -> list[Node]:
    """Return the nodes whose outputs every row on `route` has after passing `nodes`.

    A row leaves the main route at a node that may divert it (`Stage.routes`), with the outputs of the nodes before.
    """
    leaves = [index for index, node in enumerate(nodes) if route in node.stage.routes]
    if route is Route.MAIN:
        return [node for node in nodes if node.route is route]
    if not leaves:
        return []
    before = [node for node in nodes[: leaves[0]] if node.route is Route.MAIN]
    return before + [node for node in nodes[leaves[-1] + 1 :] if node.route is route]
