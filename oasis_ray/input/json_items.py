"""JSON items: parses lines of JSON, and streams the items of a `.json` list.

A key that occurs twice and a number beyond float64 make an item unreadable: parsers replace them without a word.
"""

import json
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

import ijson

# ijson's faster backend (yajl2_c, 3.6) turns a lone surrogate into "?", and crashes on an integer of 5000 digits.
IJSON = ijson.get_backend("python")
JSONError = ijson.JSONError
BUFFER = 1 << 18  # bytes that are parsed at once
SCANNED = 10_000  # tokens that are read of a file that is not a list, to find out what it is
SHOWN = 5  # keys per message
LIST, LINES = "a list", "one object after another (JSON Lines)"

Item = Any  # a JSON value, or the exception that says why it is unreadable


def parse(line: bytes) -> Item:
    """Parse one JSON value, or return the exception of a line that can't be parsed."""
    try:
        return json.loads(line, object_pairs_hook=_object, parse_float=lambda text: _finite(float(text)))
    except (ValueError, RecursionError) as error:
        return error


def items(stream: BinaryIO) -> Iterator[Item]:
    """Yield the items of a JSON list, with bounded memory. Raises ValueError if the stream breaks off or is no JSON."""
    depth, error = 0, None
    builder = ijson.ObjectBuilder(map_type=_Object)
    try:
        for event, value in IJSON.basic_parse(stream, use_float=True, buf_size=BUFFER):
            outside, depth = depth, depth + _step(event)
            if not outside or not depth:
                continue  # begin and end of the list
            if outside == 1:
                builder, error = ijson.ObjectBuilder(map_type=_Object), None
            if error is None:
                try:
                    builder.event(event, _finite(value))
                except ValueError as wrong:
                    error = wrong
            if depth == 1:
                yield builder.value if error is None else error
    except ijson.JSONError as wrong:
        raise ValueError(str(wrong)) from None


def kind_of_document(stream: BinaryIO) -> str:
    """Return `LIST`, `LINES`, or what else a JSON document is. Raises ValueError if it is not JSON."""
    try:
        events = IJSON.basic_parse(stream, multiple_values=True)
        first, _ = next(events)
        if first == "start_array":
            return LIST
        if first != "start_map":
            return f"a {first}"
        depth, keys = 1, list[str]()
        for event, value in islice(events, SCANNED):
            if event == "map_key" and depth == 1:
                keys.append(repr(value))
            depth += _step(event)
            if not depth:
                break
        if not depth and next(events, None) is not None:
            return LINES
    except ijson.JSONError as error:
        raise ValueError(str(error)) from None
    return f"one object with the keys {', '.join(keys[:SHOWN])}{', …' * (len(keys) > SHOWN)}"


class _Object(dict[str, Any]):
    """JSON object that refuses a key that occurs twice."""

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self:
            raise ValueError(f"duplicate key {key!r}")
        super().__setitem__(key, value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = _Object()
    for key, value in pairs:
        made[key] = value
    return made


def _finite(value: Any) -> Any:
    if isinstance(value, float) and math.isinf(value):
        raise ValueError("a number is beyond float64")
    return value


def _step(event: str) -> int:
    return event.startswith("start_") - event.startswith("end_")
