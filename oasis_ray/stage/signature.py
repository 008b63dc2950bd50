"""Signature of a stage: its dataclasses `In` and `Out`, the types of their fields, and the matching Arrow types."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pyarrow as pa

from oasis_ray.stage.base import Stage
from oasis_ray.types import Chance, Divert, Image, Position, Slots, Turn

SCALARS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(),
           Turn: pa.struct([("speaker", pa.string()), ("text", pa.string())])}  # fmt: skip


@cache  # called for each row, and string annotations are compiled each time
def contract(stage: type[Stage]) -> tuple[type, type]:
    """Return the dataclasses `In` and `Out` of a stage, from the annotations of `parse` or `apply`.

    Raises TypeError if the annotations are missing, or if `Out` has a field that Arrow can't store.
    """
    method = getattr(stage, "parse", None) or getattr(stage, "apply", None)
    hints = get_type_hints(method) if method else {}
    outs = [kind for kind in _members(hints.get("return")) if kind is not Divert]
    row = hints.get("row")
    if not (is_dataclass(row) and isinstance(row, type) and len(outs) == 1 and is_dataclass(outs[0])):
        raise TypeError(
            f"stage {stage.__name__}: annotate parse() or apply() with dataclasses: row: In -> Out | Divert"
        )
    for kind in types_of(outs[0]).values():  # type: ignore[arg-type]
        arrow(kind)
    return row, outs[0]  # type: ignore[return-value]  # is_dataclass() is also true of an instance


@cache
def types_of(dataclass: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields by name."""
    return get_type_hints(dataclass)


def required(dataclass: type) -> set[str]:
    """Return the inputs of a dataclass that have no default."""
    without = {f.name for f in fields(dataclass) if f.default is MISSING and f.default_factory is MISSING}
    return without & inputs_of(dataclass).keys()


def slots_of(dataclass: type) -> str | None:
    """Return the field of a stage's `In` that takes the slots of its prompt; None if it has none."""
    return next((name for name, kind in types_of(dataclass).items() if kind is Slots), None)


def chance_of(dataclass: type) -> str | None:
    """Return the field of a stage's `In` that takes a random number; None if it has none."""
    return next((name for name, kind in types_of(dataclass).items() if kind is Chance), None)


def position_of(dataclass: type) -> str | None:
    """Return the field of a stage's `In` that takes the position of an element; None if it has none."""
    return next((name for name, kind in types_of(dataclass).items() if kind is Position), None)


def inputs_of(dataclass: type) -> dict[str, Any]:
    """Return the types of the inputs that a recipe binds by the names of fields: all but those of the framework."""
    return {name: kind for name, kind in types_of(dataclass).items() if kind not in (Slots, Chance, Position)}


def accepts(want: Any, have: Any) -> bool:
    """Whether a value of type `have` is valid where `want` is expected."""
    options = _members(want)
    return all(any(_same(option, h) for option in options) for h in _members(have))


WORDS = {str: "text", int: "integer", float: "number", bool: "true or false", Image: "image",
         list[str]: "list of texts", list[Turn]: "conversation", NoneType: "null"}  # fmt: skip


def name_of(kind: Any) -> str:
    """Return the name of a type in the words of recipes: `text`, `optional image`, `list of integers`."""
    kinds = [option for option in _members(kind) if option is not NoneType]
    names = [_word(option) for option in kinds]
    return ("optional " if len(kinds) < len(_members(kind)) and kinds else "") + " or ".join(names or ["null"])


def _word(kind: Any) -> str:
    if kind in WORDS:
        return WORDS[kind]
    if get_origin(kind) is list:
        element = name_of(get_args(kind)[0])
        return f"list of lists{element.removeprefix('list')}" if element.startswith("list ") else f"list of {element}s"
    return getattr(kind, "__name__", str(kind))


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _same(want: Any, have: Any) -> bool:
    if get_origin(want) is list and get_origin(have) is list:
        return accepts(get_args(want)[0], get_args(have)[0])
    return want == have or (want is float and have is int)


def build(dataclass: type, values: Mapping[str, Any]) -> Any:
    """Return a dataclass of values as Arrow returns them: turns are mappings there."""
    kinds = types_of(dataclass)
    return dataclass(**{name: _built(kinds[name], value) for name, value in values.items()})


def _built(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    kinds = [option for option in _members(kind) if option is not NoneType]
    if get_origin(kinds[0]) is list:
        return [_built(get_args(kinds[0])[0], element) for element in value]
    return Turn(**value) if kinds[0] is Turn else value


def plain(value: Any) -> Any:
    """Return a value as Arrow takes it: turns become mappings."""
    if isinstance(value, list):
        return [plain(element) for element in value]
    return asdict(value) if isinstance(value, Turn) else value


def arrow(kind: Any) -> pa.DataType:
    """Return the Arrow type of a field of `Out`: str, int, float, bool, Turn, lists of these, each optionally None.

    Raises TypeError for anything else.
    """
    options = [option for option in _members(kind) if option is not NoneType]
    if get_origin(kind) is list:
        return pa.list_(arrow(get_args(kind)[0]))
    if len(options) == 1 and options[0] in SCALARS:
        return SCALARS[options[0]]
    if len(options) == 1 and get_origin(options[0]) is list:
        return arrow(options[0])
    raise TypeError(f"an Out may hold str, int, float, bool, Turn, lists of these, and None, not {kind}")
