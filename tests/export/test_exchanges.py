"""Exchanges: how many a conversation has, what turns each of them has, and what their records are called."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from oasis_ray.export import exchanges
from oasis_ray.output.schema import TURN

LETTERS = {"h": "human", "g": "gpt", "s": "system", "x": "observation", "-": None}


def conversations(words: list[str | None]) -> pa.ChunkedArray:
    """Conversations of speakers by their letters; None is null."""
    made = [word if word is None else [{"from": LETTERS[letter], "value": letter} for letter in word] for word in words]
    return pa.chunked_array([pa.array(made, pa.list_(TURN))])


TURNS: dict[str | None, int] = {
    "hg": 1, "hghg": 2, "hghghg": 3, "shg": 1, "shghg": 2,
    None: 0, "": 0, "s": 0, "h": 0, "g": 0, "sg": 0, "sh": 0, "gh": 0, "hgh": 0, "hhg": 0, "hgg": 0, "hghh": 0,
    "sshg": 0, "hsg": 0, "hgs": 0, "hgshg": 0, "hx": 0, "xg": 0, "h-": 0, "-g": 0, "-hg": 0, "hghgx": 0,
}  # fmt: skip


@pytest.mark.parametrize("turns", TURNS)
def test_only_human_and_gpt_in_turn_are_exchanges_after_a_system_turn_or_none(turns: str | None) -> None:
    assert exchanges.count(conversations([turns])).tolist() == [TURNS[turns]]


def test_the_conversations_of_a_part_are_counted_each_on_its_own() -> None:
    several = conversations([*TURNS, *TURNS])
    assert exchanges.count(several).tolist() == [*TURNS.values()] * 2
    assert exchanges.count(several.slice(3, 9)).tolist() == [*TURNS.values()][3:12]
    assert exchanges.count(pa.chunked_array([several.chunk(0), several.chunk(0)])).tolist() == [*TURNS.values()] * 4
    assert exchanges.count(pa.chunked_array([], several.type)).tolist() == []


def said(*texts: str, system: str | None = None) -> list[exchanges.Turn]:
    spoken = [{"from": "human" if at % 2 == 0 else "gpt", "value": text} for at, text in enumerate(texts)]
    return [{"from": "system", "value": system}, *spoken] if system is not None else spoken


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (said("q", "a"), [said("q", "a")]),
        (said("<image>\nq", "a"), [said("<image>\nq", "a")]),
        (said("q", "a", "r", "b"), [said("q", "a"), said("r", "b")]),
        (said("<image>\nq", "a", "r", "b"), [said("<image>\nq", "a"), said("<image>\nr", "b")]),
        (said("<image>\nq", "a", "r", "b", "s", "c", system="Be."),
         [said("<image>\nq", "a", system="Be."), said("<image>\nr", "b", system="Be."),
          said("<image>\ns", "c", system="Be.")]),
        (said("q", "a", "r", "b", system="<image>"),
         [said("q", "a", system="<image>"), said("r", "b", system="<image>")]),
    ],
)  # fmt: skip
def test_an_exchange_has_the_system_turn_and_the_placeholder_of_the_image(
    turns: list[exchanges.Turn], expected: list[list[exchanges.Turn]]
) -> None:
    assert [exchanges.exchange(turns, number) for number in range(len(expected))] == expected


def named(ids: dict[str, int]) -> dict[str, list[str]]:
    """The names of the exchanges of records, by the ids of the records."""
    rows = exchanges.divide(pa.table({"id": list(ids)}), np.array([*ids.values()], np.int64))
    made = exchanges.name(rows, pa.chunked_array([[name for name, count in ids.items() if count]], pa.string()))
    found: dict[str, list[str]] = {}
    for row in made.to_pylist():
        found.setdefault(row["record"], []).append(row["id"])
    return found


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({"a": 1}, {"a": ["a"]}),
        ({"a": 3, "b": 1}, {"a": ["a/0", "a/1", "a/2"], "b": ["b"]}),
        ({"a": 0, "b": 2}, {"b": ["b/0", "b/1"]}),
        ({"a/0": 2, "a": 1}, {"a/0": ["a/0/0", "a/0/1"], "a": ["a"]}),
        ({"a": 2, "a/0": 1}, {"a": ["a/0#2", "a/1"], "a/0": ["a/0"]}),
        ({"a/0": 1, "a": 2}, {"a/0": ["a/0"], "a": ["a/0#2", "a/1"]}),
        ({"a": 2, "a/0": 1, "a/0#2": 1}, {"a": ["a/0#3", "a/1"], "a/0": ["a/0"], "a/0#2": ["a/0#2"]}),
        ({"日 本": 2, "": 2}, {"日 本": ["日 本/0", "日 本/1"], "": ["/0", "/1"]}),
        ({"a": 11}, {"a": [f"a/{n}" for n in range(11)]}),
    ],
)
def test_an_exchange_is_named_after_its_record_and_no_two_have_one_name(
    ids: dict[str, int], expected: dict[str, list[str]]
) -> None:
    assert named(ids) == expected


@pytest.mark.parametrize(
    ("lists", "numbers", "expected"),
    [
        ([["a", "b"], ["a", "b"], ["c"]], [0, 1, 0], ["a", "b", "c"]),
        ([None, None, ["c", None]], [0, 1, 1], [None, None, None]),
        ([["a", "b"], None, ["c"]], [1, 0, 0], ["b", None, "c"]),
        ([], [], []),
    ],
)
def test_an_exchange_has_its_element_of_a_list(lists: list[Any], numbers: list[int], expected: list[Any]) -> None:
    given = pa.array([["x", "y"], *lists], pa.list_(pa.string())).slice(1)
    assert exchanges.element(given, np.array(numbers, np.int64)).to_pylist() == expected
