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
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from oasis_ray.contract import contract
from oasis_ray.rows import Route
from oasis_ray.stage import Stage

Wiring = str | dict[str, str]


class NodeSpec(BaseModel):
    """One step of a recipe, as it stands in the YAML."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="The node's own name; its outputs are `name.field`.")
    stage: str = Field(description="The kind of step: a shipped stage, or `package.module:Class`.")
    pool: str | None = Field(None, description="The pool that answers, for a stage that asks a model.")
    route: Literal["main", "caption"] = Field("main", description="Which rows it works on.")
    inputs: dict[str, Wiring] = Field(
        default_factory=dict, description="For each input of the stage, what feeds it: `node.field` or `source.column`."
    )
    with_: dict[str, Any] = Field(default_factory=dict, alias="with", description="The stage's parameters.")
    enabled: bool = Field(True, description="A node that is switched off is left out of the run.")


class RecordSpec(BaseModel):
    """How a row that ends well becomes a record of the data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_source: str = Field(description="Written into each record, to tell its kind.")
    instruction: str = Field(description="The user's turn: `node.field`.")
    response: str = Field(description="The assistant's turn: `node.field`.")
    scores: dict[str, str] = Field(
        default_factory=dict, description="Scores to keep in the record: name to `node.field`."
    )


class RecordsSpec(BaseModel):
    """The two kinds of record that a recipe can make."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accepted: RecordSpec = Field(description="Rows that come to the end of the main route.")
    captions: RecordSpec | None = Field(None, description="Rows that come to the end of the caption route.")


class RateSpec(BaseModel):
    """A published rate, to set beside a run's own: the share of rows that come through some nodes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    say: str = Field(description="What the rate is of.")
    from_: str = Field(alias="from", description="The first node of the passage.")
    to: str = Field(description="The last node of the passage.")
    published: float = Field(ge=0, le=1, description="The published share.")


class RecipeSpec(BaseModel):
    """A recipe file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="What the recipe is called.")
    nodes: tuple[NodeSpec, ...] = Field(description="The steps, in order.")
    records: RecordsSpec = Field(description="What becomes of rows that end well.")
    rates: tuple[RateSpec, ...] = Field((), description="Published rates that a run is compared with.")


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
