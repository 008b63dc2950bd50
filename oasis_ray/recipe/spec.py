"""Models of a recipe file: nodes, records and published rates, validated before they are bound."""

from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

Wiring = str | dict[str, str]


class NodeSpec(BaseModel):
    """A node of a recipe file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$", description="Unique name of the node; its outputs are `name.field`."
    )
    stage: str = Field(description="The stage: a shipped one, or `package.module:Class`.")
    pool: str | None = Field(None, description="The pool of engines, for a stage that asks a model.")
    route: Literal["main", "caption"] = Field("main", description="The route whose rows the node processes.")
    inputs: dict[str, Wiring] = Field(
        default_factory=dict, description="The value of each input of the stage: `node.field` or `source.column`."
    )
    with_: dict[str, Any] = Field(default_factory=dict, alias="with", description="Parameters of the stage.")
    enabled: bool = Field(True, description="false: leave the node out of the run.")


class RecordSpec(BaseModel):
    """How a row becomes a record of the data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_source: str = Field(description="The kind of record; written into each record.")
    instruction: str = Field(description="The user's turn: `node.field`.")
    response: str = Field(description="The assistant's turn: `node.field`.")
    scores: dict[str, str] = Field(
        default_factory=dict, description="Scores to keep in the record, by name: `node.field`."
    )


class RecordsSpec(BaseModel):
    """The two kinds of record that a recipe can produce."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accepted: RecordSpec = Field(description="The record of rows that reach the end of the main route.")
    captions: RecordSpec | None = Field(None, description="The record of rows that reach the end of the caption route.")


class RateSpec(BaseModel):
    """A published share of rows that pass some nodes, for comparison with a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # run.json keeps the old name, which runs of earlier versions have.
    label: str = Field(
        validation_alias=AliasChoices("label", "say"), serialization_alias="say", description="What is measured."
    )
    from_: str = Field(alias="from", description="The first node.")
    to: str = Field(description="The last node.")
    published: float = Field(ge=0, le=1, description="The published share.")


class RecipeSpec(BaseModel):
    """A recipe file: nodes, records and published rates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Name of the recipe.")
    nodes: tuple[NodeSpec, ...] = Field(description="The nodes, in order.")
    records: RecordsSpec = Field(description="The records that rows become.")
    rates: tuple[RateSpec, ...] = Field((), description="Published rates, for comparison with a run.")
