"""Lines and lists of JSON: every value is read as it is written, or the item says why it is unreadable."""

import io
import math
import tracemalloc
from typing import Any

import pytest

from oasis_ray.input.json_items import LINES, LIST, items, kind_of_document, parse

DEEP = b"[" * 100_000 + b"]" * 100_000
LONG = b"9" * 5000

# Values that JSON can hold, and what both readers make of them.
VALUES: list[tuple[bytes, Any]] = [
    (b"{}", {}),
    (b'{"a": [1, -0, 2.0, 1E5, true, null]}', {"a": [1, 0, 2.0, 100000.0, True, None]}),
    (b'{"": 1, "a.b": 2, "item": {"item": [3]}}', {"": 1, "a.b": 2, "item": {"item": [3]}}),
    ('{"日本": "\u2028é"}'.encode(), {"日本": "\u2028é"}),
    (rb'{"a": "\ud83d\ude00", "b": "\ud800x", "c": "x\udc00"}', {"a": "😀", "b": "\ud800x", "c": "x\udc00"}),
    (b'{"a": "\\u0000"}', {"a": "\0"}),
    (b'{"n": 123456789012345678901234567890}', {"n": 123456789012345678901234567890}),
    (b"7", 7),
    (b'"a"', "a"),
    (b"[[1], 2]", [[1], 2]),
]

# What a parser would replace, and the message of the item.
UNREADABLE: list[tuple[bytes, str]] = [
    (b'{"a": 1, "a": 2}', "duplicate key 'a'"),
    (b'{"a": [{"b": 1, "c": 2, "b": 1}]}', "duplicate key 'b'"),
    (b'{"a": [-1e400]}', "beyond float64"),
    (b'{"a": [[{"b": -1e400}], 2, {"c": {}}]}', "beyond float64"),
]

# What is not JSON: a line is unreadable, a list can't be read any further.
INVALID: list[tuple[bytes, str]] = [
    (b'{"a": 1', "Unexpected"),
    (b'{"a": 1e400}', "1e400"),
    (b'{"a": "\xff"}', "utf-8"),
    (b'{"a": "x\ny"}', "control character"),
    (b'{"a": "\\x"}', "escape"),
    (b'{"a": 1,}', "Unexpected|Expecting"),
    (b"{'a': 1}", "Unexpected|Expecting"),
    (b'{"a": 01}', "01|Expecting"),
    (b'{"a": ' + LONG + b"}", "9999|4300"),
]


def of(data: bytes) -> list[Any]:
    return list(items(io.BytesIO(data)))


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_a_value_is_read_the_same_from_a_line_and_from_a_list(text: bytes, value: Any) -> None:
    assert parse(text) == value
    assert of(b"[" + text + b",\n " + text + b"]") == [value, value]


@pytest.mark.parametrize(("text", "reason"), UNREADABLE)
def test_what_a_parser_would_replace_is_unreadable_and_the_next_item_is_read(text: bytes, reason: str) -> None:
    for error in (parse(text), of(b"[" + text + b', {"b": 2}]')[0]):
        assert isinstance(error, ValueError)
        assert reason in str(error)
    assert of(b"[" + text + b', {"b": 2}]')[1:] == [{"b": 2}]


@pytest.mark.parametrize(("text", "reason"), INVALID)
def test_a_line_that_is_not_json_is_unreadable_and_a_list_ends_with_an_error(text: bytes, reason: str) -> None:
    error = parse(text)
    assert isinstance(error, ValueError)
    with pytest.raises(ValueError, match=reason):
        of(b"[" + text + b"]")


def test_a_list_of_any_depth_is_read_and_a_line_is_unreadable() -> None:
    (item,) = of(b"[" + DEEP + b"]")
    assert len(item) == 1
    assert isinstance(parse(DEEP), RecursionError)


def test_a_line_may_hold_the_numbers_that_only_python_writes() -> None:
    read = parse(b'{"a": NaN, "b": Infinity}')
    assert (math.isnan(read["a"]), read["b"]) == (True, math.inf)
    with pytest.raises(ValueError, match="Unexpected symbol 'N'"):
        of(b'[{"a": NaN}]')


@pytest.mark.parametrize("rest", [b"", b"]]", b"] x", b"][1]", b","])
def test_a_list_must_end_once(rest: bytes) -> None:
    with pytest.raises(ValueError, match=r"Incomplete|Additional|Unexpected"):
        of(b'[{"a": 1}' + rest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"[]", LIST),
        (b" \n\t[1", LIST),
        (b" " * 200_000 + b"[]", LIST),
        (b'{"a": 1}\n{"a": 2}\n', LINES),
        (b'{"a": {"b": []}} {"a": 2}', LINES),
        (b'{"a": 1}\n', "one object with the keys 'a'"),
        (b"{}", "one object with the keys "),
        (b'{"data": [{"x": 1}], "version": 1}', "one object with the keys 'data', 'version'"),
        (b'{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}', "one object with the keys 'a', 'b', 'c', 'd', 'e', …"),
        (b'{"data": [' + b"0, " * 100_000, "one object with the keys 'data'"),
        (b'"text"', "a string"),
        (b"7", "a number"),
        (b"null", "a null"),
        (b"true", "a boolean"),
    ],
)
def test_a_document_that_is_no_list_is_described(text: bytes, expected: str) -> None:
    assert kind_of_document(io.BytesIO(text)) == expected


@pytest.mark.parametrize("text", [b"", b"   ", b"image,id\na.jpg,1\n", b"\x1f\x8b\x08\0", b"{'a': 1}"])
def test_a_document_that_is_not_json_has_no_kind(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"Incomplete|Unexpected|utf-8"):
        kind_of_document(io.BytesIO(text))


def test_a_list_is_read_in_bounded_memory() -> None:
    def peak(records: int) -> int:
        stream = io.BytesIO(b"[" + b",".join([b'{"id": "x", "text": "' + b"y" * 1000 + b'"}'] * records) + b"]")
        tracemalloc.start()
        try:
            assert sum(1 for _ in items(stream)) == records
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(4000) < 1.2 * peak(1000)
