"""Models of a recipe file: nodes, records and published rates, validated before they are bound."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from oasis_ray.recipe.source import source_type
from oasis_ray.types import ACCEPTED, DROPPED, MAIN

NAME = r"^[a-z][a-z0-9_]*$"
FOLDERS = ("broken", "log", "phases", "removed", "report")  # of a run folder, besides those of its records


def _not_dropped(route: str) -> str:
    if route in DROPPED:
        raise ValueError(f"'{route}' is where rows end; no node and no record follows")
    return route


Exit = Annotated[str, StringConstraints(pattern=NAME)]
Route = Annotated[Exit, AfterValidator(_not_dropped)]
Reference = str | tuple[str | None, ...]  # several: the first that the row has; null at the end: none, if it has none
Wiring = Reference | dict[str, Reference]


class NodeSpec(BaseModel):
    """A node of a recipe file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME, description="Unique name of the node; its outputs are `name.field`.")
    stage: str = Field(description="The stage: a shipped one, or `package.module:Class`.")
    pool: str | None = Field(None, description="The pool of engines, for a stage that asks a model.")
    route: Route = Field(MAIN, description="The route whose rows the node processes.")
    to: Route | None = Field(None, description="The route on which rows that pass the node continue, if another.")
    exits: dict[str, Exit] = Field(
        default_factory=dict, description="Other routes for the exits of the stage: `exit: route`."
    )
    inputs: dict[str, Wiring] = Field(
        default_factory=dict,
        description="The value of each input of the stage: `node.field` or `source.column`, or a list of these: the "
        "first for which the row has a value is used.",
    )
    for_each: dict[str, Wiring] = Field(
        default_factory=dict,
        description="Inputs bound to lists, as `input: node.field`: the stage is called once for each element, "
        "and its outputs become lists. An element that the stage diverts is dropped from all lists of this origin.",
    )
    require: Literal["any", "all"] | None = Field(
        None,
        description="With `for_each`: a row continues if `any` element passes (default), or only if `all` do.",
    )
    with_: dict[str, Any] = Field(default_factory=dict, alias="with", description="Parameters of the stage.")
    max_attempts: int = Field(
        1, ge=1, le=10, description="How often to ask if the stage can't parse the reply, each time with another seed."
    )
    enabled: bool = Field(True, description="false: leave the node out of the run.")

    @model_validator(mode="after")
    def _for_each(self) -> "NodeSpec":
        if self.require and not self.for_each:
            raise ValueError(f"`require: {self.require}` is about the elements of a list; name the list in `for_each`")
        if both := sorted({*self.inputs} & {*self.for_each}):
            raise ValueError(f"input '{both[0]}' is bound in both `inputs` and `for_each`; bind it in one of them")
        return self


class RecordSpec(BaseModel):
    """How a row becomes a record of the data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    route: Route = Field(MAIN, description="The route whose rows become such records.")
    data_source: str = Field(description="The kind of record; written into each record.")
    instruction: Reference | None = Field(None, description="The user's turn: `node.field` or `source.name`.")
    response: Reference | None = Field(None, description="The assistant's turn: `node.field` or `source.name`.")
    conversation: Reference | None = Field(
        None, description="All turns, in place of `instruction` and `response`: `node.field` or `source.name`."
    )
    scores: dict[str, Reference] = Field(
        default_factory=dict,
        description="Scores to keep in the record, by name: `node.field`, integers or numbers. "
        "`[node.field, null]` for one that not every row has.",
    )
    columns: dict[str, Reference] = Field(
        default_factory=dict,
        description="Further values to keep in the record's column `columns`, by name: `node.field` or `source.name`. "
        "`[node.field, null]` for one that not every row has.",
    )

    @model_validator(mode="after")
    def _turns(self) -> "RecordSpec":
        pair = (self.instruction is not None, self.response is not None)
        if self.conversation is None and not all(pair):
            missing = " and ".join(
                name for name, given in zip(("instruction", "response"), pair, strict=True) if not given
            )
            raise ValueError(f"{missing} is missing; or give the turns as `conversation`")
        if self.conversation is not None and any(pair):
            raise ValueError("give either `conversation`, or `instruction` and `response`")
        return self


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


class Published(BaseModel):
    """Published statistics of a data set that a recipe reproduces; a report shows them beside a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="The data set.")
    languages: dict[str, float] = Field(
        default_factory=dict, description="Shares of the instructions by language, as langdetect names it (ISO 639-1)."
    )
    lengths: str = Field("", description="What was published on the lengths of texts, in a sentence.")
    verbs: str = Field("", description="What was published on verbs and objects, in a sentence.")


class RecipeSpec(BaseModel):
    """A recipe file: nodes, records, published rates, and what data set cards say about the method."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Name of the recipe.")
    about: str = Field("", description="One to three sentences on what the recipe makes, for the cards of data sets.")
    cite: str = Field("", description="A BibTeX entry of the method, for the cards of data sets.")
    source: dict[str, str] | None = Field(
        None,
        description="The values that the recipe reads from the input, by name: `image`, `text`, `list of texts`, "
        "`integer`, `number`, `conversation`, or `optional …`. Default: `image: image`, and the text columns that the "
        "job names in `input.columns`.",
    )
    nodes: tuple[NodeSpec, ...] = Field(description="The nodes, in order.")
    records: dict[str, RecordSpec] = Field(
        description="The records that rows become, by the name of their folder: `accepted`, and others of your choice."
    )
    rates: tuple[RateSpec, ...] = Field((), description="Published rates, for comparison with a run.")
    published: Published | None = Field(None, description="Published statistics, for comparison in a report.")

    @field_validator("source")
    @classmethod
    def _types(cls, source: dict[str, str] | None) -> dict[str, str] | None:
        for name, text in (source or {}).items():
            if not re.match(NAME, name):
                raise ValueError(f"'{name}' is not a name: use lower-case letters, digits and _")
            source_type(text)
        if source and sum(source_type(text).kind == "image" for text in source.values()) > 1:
            raise ValueError("a row has at most one image")
        return source

    @field_validator("records")
    @classmethod
    def _folders(cls, records: dict[str, RecordSpec]) -> dict[str, RecordSpec]:
        if ACCEPTED not in records:
            raise ValueError(f"there is no record '{ACCEPTED}', that of rows that reach the end of the main route")
        if records[ACCEPTED].route != MAIN:
            raise ValueError(f"'{ACCEPTED}' is the record of route '{MAIN}', not of '{records[ACCEPTED].route}'")
        for name in records:
            if not re.match(NAME, name) or name in (*DROPPED, *FOLDERS):
                raise ValueError(
                    f"'{name}' can't be the folder of a record: use lower-case letters, digits and _, "
                    f"and none of {', '.join((*DROPPED, *FOLDERS))}"
                )
        first: dict[str, str] = {}
        for name, record in records.items():
            if first.setdefault(record.route, name) != name:
                raise ValueError(
                    f"'{first[record.route]}' and '{name}' are both records of route '{record.route}'; give '{name}' "
                    "the `route` whose rows become it"
                )
        return records
