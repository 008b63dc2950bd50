"""A stage: what a step asks and how it reads the reply.

A stage is a frozen pydantic model whose fields are its parameters, so a node's `with:` in a recipe validates straight
into it, and two pure methods over a small dataclass `In`, giving a small dataclass `Out` or a `Divert`. It does no
I/O, knows no clock and no randomness, and sees neither Ray nor an engine. `ModelStage` asks a model; `RowStage` does
not. `In` and `Out` are read from the methods' own annotations (`contract`).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, field_validator

from oasis_ray.types import GREEDY, Divert, Reply, Request, Route, Sampling

In = TypeVar("In")
Out = TypeVar("Out")


class Stage(BaseModel):
    """What both kinds of stage share."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    # To be raised whenever the stage computes something else than before from the same parameters: rows of earlier
    # runs then count as made by another stage. What is only written differently keeps its version.
    version: ClassVar[int] = 1
    # The routes, besides rejected and failed, that this stage may send a row to.
    routes: ClassVar[tuple[Route, ...]] = ()
    # True where the stage only judges: a row that is scored in full goes on past its rejection (see segment.walk).
    judges: ClassVar[bool] = False

    def accepts(self, out: Any) -> bool:
        """Of a stage that judges: whether a row goes on of which it wrote `out`. A forecast compares orders by it."""
        return True

    def problems(self, inputs: Mapping[str, Any]) -> list[str]:
        """What is wrong with how this stage is bound, beyond names and types. `inputs` maps each to what feeds it."""
        return []


class ModelStage(Stage, Generic[In, Out]):
    """A step that asks a model. `sampling` given in part keeps the rest of the stage's own defaults."""

    sampling: Sampling = GREEDY

    def requests(self, row: In) -> list[Request]:
        """What to ask for this row. An empty list asks nothing; `parse` is called all the same."""
        raise TypeError(f"{type(self).__name__} has no requests()")

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """What the replies mean, one reply a request, in order."""
        raise TypeError(f"{type(self).__name__} has no parse()")

    @field_validator("sampling", mode="before")
    @classmethod
    def _keep_defaults(cls, value: Any) -> Any:
        return cls.model_fields["sampling"].default.model_dump() | value if isinstance(value, dict) else value


class RowStage(Stage, Generic[In, Out]):
    """A step that asks no model: rules, clean-up, choice."""

    def apply(self, row: In) -> Out | Divert:
        """What becomes of this row."""
        raise TypeError(f"{type(self).__name__} has no apply()")
