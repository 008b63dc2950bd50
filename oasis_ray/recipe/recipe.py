"""A bound recipe: its nodes, their order and their references. It holds no logic.

The `…Spec` models (`recipe.spec`) mirror the YAML file; `Recipe`, `Node` and `Record` are the same after binding to
stages and to each other (`binding.bind`).
"""

import dataclasses
import inspect
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pyarrow as pa

from oasis_ray.errors import RunError
from oasis_ray.recipe.elements import ANY
from oasis_ray.recipe.source import IMAGE_ONLY, SourceType
from oasis_ray.recipe.spec import Published, RateSpec
from oasis_ray.stage import Stage
from oasis_ray.stage.signature import contract, types_of
from oasis_ray.types import DROPPED, Divert


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to an output of an earlier node, or to a column of the source.

    `group`: where the value is a list, the group of its elements (`recipe.elements`).
    """

    node: str
    field: str
    group: str = dataclasses.field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.node}.{self.field}" if self.field else self.node


Refs = tuple[Ref, ...]  # of several, the first that the row has
NULL = Ref("null", "")  # the last of several references, where a row may have none of them
Inputs = Mapping[str, Refs | Mapping[str, Refs]]


@dataclass(frozen=True, slots=True)
class Node:
    """A named call of a stage, with its inputs bound. `kind` is the name of the stage in recipes.

    With `for_each` it calls the stage once for each element of the lists that these inputs are bound to.
    """

    name: str
    kind: str
    stage: Stage
    pool: str | None
    route: str
    inputs: Inputs
    exits: Mapping[str, str] = field(default_factory=dict)
    to: str | None = None
    max_attempts: int = 1
    for_each: Inputs = field(default_factory=dict)
    require: str = ANY

    @property
    def group(self) -> str:
        """The group of the elements that the node works on; empty without `for_each`."""
        return next((ref.group for ref in refs_of(self.for_each)), "")

    @property
    def judges(self) -> bool:
        """Whether the node only judges rows: a fully scored row continues after its rejection (`pipeline.walk`)."""
        return self.stage.judges and not self.for_each

    @property
    def outputs(self) -> dict[str, Any]:
        """The types of the outputs, as later nodes see them: lists with `for_each`."""
        types = types_of(self.out_type)
        return {name: list[kind] for name, kind in types.items()} if self.for_each else types  # type: ignore[valid-type]

    @property
    def routes_with_output(self) -> set[str]:
        """The routes on which rows that this node diverts have its output."""
        return {self.exits[name] for name in self.stage.exits_with_output if name in self.exits}

    def destination(self, divert: Divert) -> str:
        """The route of a row that the stage diverts. Raises RunError for an exit that the stage does not declare."""
        if divert.route in DROPPED:
            return divert.route
        self.check_exit(divert)
        return self.exits[divert.route]

    def check_exit(self, divert: Divert) -> None:
        """Raise RunError if the stage diverts a row to an exit that it does not declare."""
        if divert.route not in self.stage.exits:
            possible = ", ".join((*DROPPED, *self.stage.exits))
            raise RunError(
                f"node '{self.name}': stage '{self.kind}' diverts a row to '{divert.route}', which is not one of its "
                f"exits (possible: {possible}); add it to the stage's `exits`"
            )

    @property
    def in_type(self) -> type:
        """The dataclass that the stage reads."""
        return contract(type(self.stage))[0]

    @property
    def out_type(self) -> type:
        """The dataclass that the stage writes."""
        return contract(type(self.stage))[1]

    @property
    def refs(self) -> list[Ref]:
        """All references of the inputs."""
        return [*refs_of(self.inputs), *refs_of(self.for_each)]

    @property
    def wires(self) -> dict[str, Any]:
        """The reference of each input, as written in the recipe."""
        return _written(self.inputs)

    @property
    def lists(self) -> dict[str, Any]:
        """The reference of each input that `for_each` binds, as written in the recipe."""
        return _written(self.for_each)

    @property
    def given(self) -> dict[str, Any]:
        """The parameters of the stage that differ from their defaults. Prompts are given by name and digest."""
        return self.stage.model_dump(mode="json", by_alias=True, exclude_defaults=True)

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
        their defaults, prompt texts, the references of the inputs, the model, `max_attempts` above 1, and `for_each`.
        """
        content: list[Any] = [self.kind, self.stage.version, self.source, self.given, self.wires, model]
        if self.max_attempts > 1:
            content.append(self.max_attempts)
        if self.for_each:
            content.append([self.lists, self.require])
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Record:
    """A `RecordSpec` with its references bound to nodes: `turns` are one (a conversation) or two (texts)."""

    route: str
    data_source: str
    turns: tuple[Refs, ...]
    scores: Mapping[str, Refs]
    columns: Mapping[str, Refs] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Nodes in order, the records by name (that of their folder), published rates, and the values of the source.

    `about` and `cite` are texts for the cards of data sets, `published` is for reports; they change no row.
    """

    name: str
    nodes: tuple[Node, ...]
    records: Mapping[str, Record]
    rates: tuple[RateSpec, ...] = ()
    source: Mapping[str, SourceType] = field(default_factory=lambda: IMAGE_ONLY)
    about: str = ""
    cite: str = ""
    published: Published | None = None
    kept: Mapping[str, pa.DataType] = field(default_factory=dict)  # columns of the input that records keep

    @property
    def pool_of(self) -> dict[str, str | None]:
        """The pool of each node, by the name of the node."""
        return {node.name: node.pool for node in self.nodes}

    @property
    def has_elements(self) -> bool:
        """Whether a node works on the elements of a list."""
        return any(node.for_each for node in self.nodes)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes of rows: the names of the records, then `rejected` and `failed`."""
        return (*self.records, *DROPPED)

    def type_of(self, refs: Refs) -> Any:
        """Return the Python type of a value: that of its references, or float where they are integers and numbers."""
        outs = {node.name: node.outputs for node in self.nodes}
        kinds = [
            self.source[ref.field].annotation if ref.node == "source" else outs[ref.node][ref.field]
            for ref in refs
            if ref != NULL
        ]
        return float if set(kinds) == {int, float} else kinds[0]

    def outcome_of(self, route: str) -> str:
        """Return the outcome of a row that ends on a route."""
        return next((name for name, record in self.records.items() if record.route == route), route)


def written(refs: Refs) -> str | list[str]:
    """Return references as written in a recipe."""
    return str(refs[0]) if len(refs) == 1 else [str(ref) for ref in refs]


def refs_of(inputs: Inputs) -> list[Ref]:
    """Return all references of some inputs."""
    bound = [list(wire.values()) if isinstance(wire, Mapping) else [wire] for wire in inputs.values()]
    return [ref for some in bound for refs in some for ref in refs]


def _written(inputs: Inputs) -> dict[str, Any]:
    return {key: {k: written(w) for k, w in wire.items()} if isinstance(wire, Mapping) else written(wire)
            for key, wire in inputs.items()}  # fmt: skip
