"""A column has the type that holds all values of its key, and is text where no other type does."""

import math
from typing import Any

import pyarrow as pa
import pytest

from oasis_ray.input.conversations import TURNS
from oasis_ray.input.record_columns import as_text, converted
from oasis_ray.input.record_layout import Layout

TALK = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}]
STRING, TEXTS = pa.string(), pa.list_(pa.string())
HUGE, LARGE, INEXACT = 1 << 63, (1 << 63) - 1, (1 << 53) + 1


def of(values: list[Any], key: str = "x") -> tuple[pa.DataType, list[Any], list[str]]:
    """The type of a column, its values as Arrow gives them back, and the notes on it."""
    layout = Layout()
    for value in values:
        layout.add({key: value})
    kind = layout.columns[key]
    return kind, pa.array([converted(value, kind) for value in values], kind).to_pylist(), layout.notes()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "", "日本 \0\u2028"], STRING),
        ([None, None], STRING),
        ([1, None, -5, 0], pa.int64()),
        ([LARGE, -(1 << 63), INEXACT], pa.int64()),
        ([0.5, None, -0.0, 1e308], pa.float64()),
        ([True, None, False], pa.bool_()),
        ([["a"], None, [], ["", "日本"]], TEXTS),
        ([[]], TEXTS),
    ],
)
def test_values_of_one_kind_are_kept_as_they_are(values: list[Any], kind: pa.DataType) -> None:
    assert of(values) == (kind, values, [])


def test_integers_and_numbers_are_numbers_and_nan_stays_nan() -> None:
    kind, values, notes = of([1, 0.5, 1 << 53, 1 << 60, None])
    assert (kind, values, notes) == (pa.float64(), [1.0, 0.5, 2.0**53, 2.0**60, None], [])
    kind, (nan, infinite), _ = of([math.nan, math.inf])
    assert (kind, math.isnan(nan), infinite) == (pa.float64(), True, math.inf)


@pytest.mark.parametrize(
    ("values", "texts", "kinds"),
    [
        (["a", 1, None], ["a", "1", None], "text (1), integer (1)"),
        (["1", 1, 1.5, 1e22], ["1", "1", "1.5", "1e+22"], "text (1), integer (1), number (2)"),
        ([True, 0, 1], ["true", "0", "1"], "true or false (1), integer (2)"),
        ([["a"], "a"], ['["a"]', "a"], "list of texts (1), text (1)"),
        ([["a"], ["a", 1]], ['["a"]', '["a", 1]'], "list of texts (1), JSON (1)"),
        ([HUGE, 1], [str(HUGE), "1"], "integer beyond int64 (1), integer (1)"),
        ([-HUGE - 1], [str(-HUGE - 1)], "integer beyond int64 (1)"),
        ([INEXACT, 0.5], [str(INEXACT), "0.5"], "integer that float64 rounds (1), number (1)"),
        ([{"a": "é"}, "b"], ['{"a": "é"}', "b"], "JSON (1), text (1)"),
        ([math.nan, "x"], ["NaN", "x"], "number (1), text (1)"),
    ],
)
def test_a_mixture_is_text_and_noted(values: list[Any], texts: list[Any], kinds: str) -> None:
    assert of(values) == (STRING, texts, [f"column 'x' is text, because its values are {kinds}"])


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([{"b": {"c": [1, None]}, "a": "日"}], ['{"b": {"c": [1, null]}, "a": "日"}']),
        ([[1, 2], [None], [[]]], ["[1, 2]", "[null]", "[[]]"]),
        ([["a", None]], ['["a", null]']),
        ([{}], ["{}"]),
        ([TALK], ['[{"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}]']),
    ],
)
def test_objects_and_other_lists_are_json(values: list[Any], texts: list[str]) -> None:
    assert of(values) == (STRING, texts, [])


@pytest.mark.parametrize("key", ["conversations", "messages"])
def test_turns_are_turns_under_their_two_keys(key: str) -> None:
    assert of([TALK, None], key) == (TURNS, [TALK, None], [])
    assert of([None], key) == (STRING, [None], [])
    assert of(["What? That."], key) == (STRING, ["What? That."], [])
    assert of([["What?", "That."]], key) == (TEXTS, [["What?", "That."]], [])
    assert of([[{"speaker": "a", "text": "b"}]], key) == (STRING, ['[{"speaker": "a", "text": "b"}]'], [])


@pytest.mark.parametrize("value", ["\ud800", "a\udc00", ["a", "\ud83d"], {"a": "\ud800"}])
def test_text_that_utf_8_cant_hold_is_refused(value: Any) -> None:
    layout = Layout()
    layout.add({"x": value})
    with pytest.raises(ValueError, match="surrogates not allowed"):
        converted(value, layout.columns["x"])


def test_text_stays_text_and_everything_else_is_json() -> None:
    assert [as_text(value) for value in ("7", 7, 7.0, True, None, [], {"é": "\u2028"})] == [
        "7", "7", "7.0", "true", "null", "[]", '{"é": "\u2028"}',
    ]  # fmt: skip


def layout_of(*records: dict[str, Any]) -> Layout:
    layout = Layout()
    for record in records:
        layout.add(record)
    return layout


@pytest.mark.parametrize(
    ("records", "columns"),
    [
        ([{"id": 1, "text": "a"}], ["id", "text"]),
        ([{"text": "a", "image": "a.jpg"}, {"width": 1, "text": None}], ["id", "image", "text", "width"]),
        ([{"image": None, "text": "a"}], ["id", "text"]),
        ([{"image": []}], ["id"]),
        ([{}], ["id"]),
        ([{"images": ["a.jpg"]}, {"images": []}, {"images": None}], ["id", "image"]),
        ([{"img_path": "a.jpg"}, {"file_path": "b.jpg"}], ["id", "image"]),
        ([{"image": "a.jpg", "file_path": "b.jpg"}], ["id", "image", "file_path"]),
        ([{"image": "a.jpg", "file_path": "b.jpg"}, {"file_path": "c.jpg"}], ["id", "image", "file_path"]),
        ([{"image": "a.jpg", "images": ["a.jpg", "b.jpg"]}], ["id", "image", "images"]),
        ([{"image": "a.jpg", "file_path": None}], ["id", "image", "file_path"]),
        ([{"image": None, "file_path": "a.jpg"}], ["id", "image"]),
        ([{"": 1, "a.b": 2, "a": 3, "ID": 4, "日本": 5}], ["id", "", "a.b", "a", "ID", "日本"]),
        ([{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url",
          "image_url": {"url": "a.jpg"}}]}, {"role": "assistant", "content": "b"}]}], ["id", "image", "messages"]),
    ],
)  # fmt: skip
def test_the_image_key_that_is_used_becomes_the_column_image(records: list[dict[str, Any]], columns: list[str]) -> None:
    assert layout_of(*records).schema.names == columns
