"""Columns of records: the type that holds all values of a key, and the values as that type holds them."""

import json
from collections.abc import Collection
from typing import Any

import pyarrow as pa

from oasis_ray.input.conversations import KEYS, TURNS, is_conversation

TEXT, INTEGER, NUMBER, BOOLEAN, TEXTS, OTHER = "text", "integer", "number", "true or false", "list of texts", "JSON"
ROUNDED, HUGE = "integer that float64 rounds", "integer beyond int64"
CONVERSATION = "conversation"

# The type of a column by the kinds of its values; a column of any other mixture is text.
TYPES = {
    frozenset[str](): pa.string(),  # null everywhere
    frozenset({TEXT}): pa.string(),
    frozenset({OTHER}): pa.string(),
    frozenset({INTEGER}): pa.int64(),
    frozenset({ROUNDED}): pa.int64(),
    frozenset({INTEGER, ROUNDED}): pa.int64(),
    frozenset({NUMBER}): pa.float64(),
    frozenset({INTEGER, NUMBER}): pa.float64(),
    frozenset({BOOLEAN}): pa.bool_(),
    frozenset({TEXTS}): pa.list_(pa.string()),
}


def kind_of(key: str, value: Any) -> str:
    """Return the kind of a value that is not null."""
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            return HUGE
        return INTEGER if int(float(value)) == value else ROUNDED
    if isinstance(value, list):
        if key in KEYS and is_conversation(value):
            return CONVERSATION
        return TEXTS if all(isinstance(item, str) for item in value) else OTHER
    return TEXT if isinstance(value, str) else NUMBER if isinstance(value, float) else OTHER


def type_of(kinds: Collection[str]) -> pa.DataType:
    """Return the type of a column whose values are of these kinds."""
    return TURNS if CONVERSATION in kinds else TYPES.get(frozenset(kinds), pa.string())


def is_mixture(kinds: Collection[str]) -> bool:
    """Whether a column is text only because no other type holds all its values."""
    return frozenset(kinds) not in TYPES and CONVERSATION not in kinds


def as_text(value: Any) -> str:
    """Return a value as it stands in a column of text: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def converted(value: Any, kind: pa.DataType) -> Any:
    """Return a value as a column of this type holds it. Raises ValueError for text with lone surrogates."""
    if value is None:
        return None
    if kind == pa.float64():
        return float(value)
    if kind == pa.string():
        value = as_text(value)
        value.encode()
    elif kind == pa.list_(pa.string()):
        "".join(value).encode()
    return value
