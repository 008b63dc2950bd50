"""A stage: what a step asks and how it reads the reply. This module is all that a stage may import.

A stage is a frozen pydantic model whose fields are its parameters, so a node's `with:` in a recipe validates straight
into it, and two pure methods over a small dataclass `In`, giving a small dataclass `Out` or a `Divert`. It does no
I/O, knows no clock and no randomness, and sees neither Ray nor an engine. `ModelStage` asks a model; `RowStage` does
not. `In` and `Out` are read from the methods' own annotations.
"""

from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, ClassVar, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, field_validator

from oasis_ray.prompt import Phrases, PhrasesField, Prompt, PromptField
from oasis_ray.rows import GREEDY, Divert, Image, Reply, Request, Route, Sample, Sampling

__all__ = [
    "GREEDY", "Divert", "Image", "ModelStage", "Phrases", "PhrasesField", "Prompt", "PromptField", "Reply", "Request",
    "Route", "RowStage", "Sample", "Sampling", "Stage",
]  # fmt: skip

In = TypeVar("In")
Out = TypeVar("Out")


class Stage(BaseModel):
    """What both kinds of stage share."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    # The routes, besides rejected and failed, that this stage may send a row to.
    routes: ClassVar[tuple[Route, ...]] = ()
    # True where the stage only judges: a row that is scored in full goes on past its rejection (see segment.walk).
    judges: ClassVar[bool] = False


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


def contract(stage: type[Stage]) -> tuple[type, type]:
    """The dataclasses `In` and `Out` of a stage, from the annotations of `parse` or `apply`.

    Raises TypeError where the stage does not say them.
    """
    method = getattr(stage, "parse", None) or getattr(stage, "apply", None)
    hints = get_type_hints(method) if method else {}
    outs = [kind for kind in _members(hints.get("return")) if kind is not Divert]
    row = hints.get("row")
    if not (is_dataclass(row) and isinstance(row, type) and len(outs) == 1 and is_dataclass(outs[0])):
        raise TypeError(
            f"stage {stage.__name__}: annotate parse() or apply() with dataclasses: row: In -> Out | Divert"
        )
    return row, outs[0]  # type: ignore[return-value]  # is_dataclass() is also true of an instance


def types_of(dataclass: type) -> dict[str, Any]:
    """The fields of a dataclass and their types."""
    return get_type_hints(dataclass)


def required(dataclass: type) -> set[str]:
    """The fields of a dataclass that have no default."""
    return {f.name for f in fields(dataclass) if f.default is MISSING and f.default_factory is MISSING}


def accepts(want: Any, have: Any) -> bool:
    """Tell whether a value of type `have` may be given where `want` is asked for."""
    wanted = _members(want)
    return all(any(_same(w, h) for w in wanted) for h in _members(have))


def name_of(kind: Any) -> str:
    """A type as a reader would write it: `str`, `Image | None`."""
    return " | ".join("None" if k is NoneType else getattr(k, "__name__", str(k)) for k in _members(kind))


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _same(want: Any, have: Any) -> bool:
    return want == have or (want is float and have is int)
