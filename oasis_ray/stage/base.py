"""Base classes of stages: what a node asks a model, and how it parses the reply.

A stage is a frozen pydantic model. Its fields are its parameters, so the `with:` of a node in a recipe validates
directly into it. Its pure methods take a small dataclass `In` and return a small dataclass `Out` or a `Divert`. A stage
does no I/O, uses no clock and no randomness, and sees neither Ray nor an engine. `ModelStage` asks a model; `RowStage`
does not. `In` and `Out` are taken from the annotations of the methods (`signature.contract`).
"""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from oasis_ray.stage.phrases import Phrases
from oasis_ray.stage.prompt import Prompt, Prompts
from oasis_ray.types import GREEDY, Divert, Reply, Request, Sampling

In = TypeVar("In")
Out = TypeVar("Out")


class Stage(BaseModel):
    """Base of both kinds of stage."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    # Increment this whenever the stage computes something different from the same parameters: rows of earlier runs then
    # count as made by a different stage. A refactoring keeps the version.
    version: ClassVar[int] = 1

    @property
    def judges(self) -> bool:
        """Whether the stage only judges: a fully scored row continues after its rejection (see `pipeline.walk`)."""
        return False

    @property
    def exits(self) -> tuple[str, ...]:
        """Routes that this stage may divert a row to, besides `REJECTED` and `FAILED`. Parameters may decide them."""
        return ()

    @property
    def exits_with_output(self) -> tuple[str, ...]:
        """Those of the `exits` on which a row has the output of this stage: `Divert.out` is set there."""
        return ()

    @property
    def templates(self) -> list[Prompt]:
        """The texts with slots that this stage fills: its prompts and phrases."""
        found: list[Prompt] = []
        for _, value in self:
            if isinstance(value, Prompt):
                found.append(value)
            elif isinstance(value, Prompts):
                found.extend(value.variants.values())
            elif isinstance(value, Phrases):
                found.extend(value.prompts)
        return found

    @property
    def text_from(self) -> tuple[str, ...] | None:
        """The inputs whose texts become part of the text that a stage writes: of a conversation, part of its questions.

        None: all of them. Of a stage with phrases, those that fill slots.
        """
        if not any(isinstance(value, Phrases) for _, value in self):
            return None
        return tuple(dict.fromkeys(slot for template in self.templates for slot in template.slots))

    def words(self, field: str) -> tuple[str, ...]:
        """Return the texts that a field of the output may have, where these are known; else nothing."""
        return ()

    def word_problems(self, words: Mapping[str, Collection[str]]) -> list[str]:
        """Return problems with texts that inputs may have, where these are known: `words` maps inputs to them."""
        return []

    def accepts(self, out: Any) -> bool:
        """Whether a judge accepts a row for which it wrote `out`. Forecasts use it to compare orders of judges."""
        return True

    def problems(self, inputs: Mapping[str, Any]) -> list[str]:
        """Return problems of the bindings, beyond names and types. `inputs` maps each input to its reference."""
        return []


class ModelStage(Stage, Generic[In, Out]):
    """A stage that asks a model. A partial `sampling` keeps the stage's defaults for the other keys."""

    sampling: Sampling = Field(GREEDY, description="Sampling of the replies: [its keys](job.md#sampling).")

    def requests(self, row: In) -> list[Request]:
        """Return the requests for a row. With an empty list no model is asked; `parse` is called anyway."""
        raise TypeError(f"{type(self).__name__} has no requests()")

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """Parse the replies, one per request, in order."""
        raise TypeError(f"{type(self).__name__} has no parse()")

    @field_validator("sampling", mode="before")
    @classmethod
    def _keep_defaults(cls, value: Any) -> Any:
        return cls.model_fields["sampling"].default.model_dump() | value if isinstance(value, dict) else value


class RowStage(Stage, Generic[In, Out]):
    """A stage that asks no model: rules, cleaning, selection."""

    def apply(self, row: In) -> Out | Divert:
        """Return the output for a row, or divert the row."""
        raise TypeError(f"{type(self).__name__} has no apply()")
