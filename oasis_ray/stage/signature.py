"""What a stage reads and writes: the dataclasses `In` and `Out`, their fields' types, and the types' Arrow forms."""

from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pyarrow as pa

from oasis_ray.stage.base import Stage
from oasis_ray.types import Divert

SCALARS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@cache  # asked for each row, and annotations that are text are compiled each time
def contract(stage: type[Stage]) -> tuple[type, type]:
    """The dataclasses `In` and `Out` of a stage, from the annotations of `parse` or `apply`.

    Raises TypeError where the stage does not say them, or its `Out` can't be written.
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


def arrow(kind: Any) -> pa.DataType:
    """The Arrow type of a field of an `Out`: str, int, float, bool, lists of these, and any of them or None.

    Raises TypeError for anything else.
    """
    options = [option for option in _members(kind) if option is not NoneType]
    if get_origin(kind) is list:
        return pa.list_(arrow(get_args(kind)[0]))
    if len(options) == 1 and options[0] in SCALARS:
        return SCALARS[options[0]]
    if len(options) == 1 and get_origin(options[0]) is list:
        return arrow(options[0])
    raise TypeError(f"an Out may hold str, int, float, bool, lists of these, and None, not {kind}")
