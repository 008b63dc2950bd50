"""A recipe as its YAML file is written: nodes, records and published rates, validated one by one."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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
