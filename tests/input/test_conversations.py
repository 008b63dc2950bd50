"""Conversations of LLaVA, ShareGPT and OpenAI are read as the same turns, or refused with the turn that is wrong."""

from typing import Any

import pytest

from oasis_ray.input.conversations import (
    NO_ANSWER,
    NO_TEXT,
    NOT_TURNS,
    OTHER_PART,
    OTHER_ROLE,
    TWO_QUESTIONS,
    Conversation,
    is_conversation,
    read_conversation,
)
from oasis_ray.input.record_lists import RecordError

ASKED = {"from": "human", "value": "What?"}
ANSWERED = {"from": "gpt", "value": "That."}
SYSTEM = {"from": "system", "value": "Be brief."}
TURNS = [ASKED, ANSWERED]


def user(*parts: Any) -> list[dict[str, Any]]:
    """A conversation in OpenAI's form whose question is a list of parts."""
    return [{"role": "user", "content": list(parts)}, {"role": "assistant", "content": "That."}]


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def image(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": url}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TURNS, Conversation(TURNS)),
        ([SYSTEM, ASKED, ANSWERED, ASKED, ANSWERED], Conversation([SYSTEM, ASKED, ANSWERED, ASKED, ANSWERED])),
        ([ANSWERED, ASKED], Conversation([ANSWERED, ASKED])),
        ([ASKED, ANSWERED, ANSWERED], Conversation([ASKED, ANSWERED, ANSWERED])),
        ([{"from": "user", "value": "What?"}, {"from": "assistant", "value": "That."}], Conversation(TURNS)),
        ([{"role": "human", "content": "What?"}, {"role": "gpt", "content": "That."}], Conversation(TURNS)),
        (user(text("What?")), Conversation(TURNS)),
        (user(text("What"), text("is it?")), Conversation([{"from": "human", "value": "What\nis it?"}, ANSWERED])),
        (user(image({"url": "a.jpg"}), text("What?")), Conversation(TURNS, ["a.jpg"])),
        (user(text("What?"), image("a.jpg"), image({"url": 5})), Conversation(TURNS, ["a.jpg", 5])),
        (user(image(None), text("What?")), Conversation(TURNS, [None])),
        ([{**ASKED, "weight": 0, "name": None}, ANSWERED], Conversation(TURNS, ignored={"weight"})),
        ([{**ASKED, "content": "other"}, ANSWERED], Conversation(TURNS, ignored={"content"})),
        (
            user(image({"url": "a.jpg", "detail": "low"}), {**text("What?"), "cache": True, "image_url": None}),
            Conversation(TURNS, ["a.jpg"], ignored={"detail", "cache"}),
        ),
        ([{"from": "human", "value": " <b>\u2028日本\0 "}, ANSWERED],
         Conversation([{"from": "human", "value": " <b>\u2028日本\0 "}, ANSWERED])),
    ],
)  # fmt: skip
def test_a_conversation_is_read_as_turns(value: Any, expected: Conversation) -> None:
    assert read_conversation(value) == expected


@pytest.mark.parametrize(
    ("value", "left", "count"),
    [
        ("<image>\nWhat?", "What?", 1),
        ("What?\n<image>", "What?", 1),
        ("<image>\r\nWhat?", "What?", 1),
        ("<image>What?", "What?", 1),
        ("<image>\n\nWhat?", "\nWhat?", 1),
        ("One\n<image>\ntwo", "One\ntwo", 1),
        ("<image>\n<image>\nWhat?", "What?", 2),
        ("In <image> and <image>, what?", "In  and , what?", 2),
        ("<Image> <video> &lt;image>", "<Image> <video> &lt;image>", 0),
    ],
)
def test_placeholders_are_removed_with_one_line_break(value: str, left: str, count: int) -> None:
    read = read_conversation([{"from": "human", "value": value}, ANSWERED])
    assert read == Conversation([{"from": "human", "value": left}, ANSWERED], placeholders=count)


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (None, NOT_TURNS, ""),
        ("What? That.", NOT_TURNS, ""),
        ({"from": "human", "value": "x"}, NOT_TURNS, ""),
        ([ASKED, "That."], NOT_TURNS, "turn 2 is not an object"),
        ([], NO_ANSWER, ""),
        ([ASKED], NO_ANSWER, ""),
        ([SYSTEM], NO_ANSWER, ""),
        ([ASKED, ASKED, ANSWERED], TWO_QUESTIONS, "turn 2"),
        ([ASKED, SYSTEM, ASKED, ANSWERED], TWO_QUESTIONS, "turn 3"),
        ([ASKED, ANSWERED, ASKED, ASKED], TWO_QUESTIONS, "turn 4"),
        ([{"from": "human"}, ANSWERED], NO_TEXT, "turn 1"),
        ([ASKED, {"from": "gpt", "value": None}], NO_TEXT, "turn 2"),
        ([ASKED, {"from": "gpt", "value": 4}], NO_TEXT, "turn 2"),
        ([ASKED, {"from": "gpt", "value": " \n"}], NO_TEXT, "turn 2"),
        ([ASKED, {"from": "gpt", "content": "That.", "value": None}], NO_TEXT, "turn 2"),
        ([{"from": "human", "value": "<image>\n"}, ANSWERED], NO_TEXT, "turn 1"),
        ([ASKED, {"role": "assistant", "content": None, "tool_calls": [{}]}], NO_TEXT, "turn 2"),
        (user(), NO_TEXT, "turn 1"),
        (user(image({"url": "a.jpg"})), NO_TEXT, "turn 1"),
        (user(text("What?"), {"type": "text"}), NO_TEXT, "turn 1"),
        (user(text("What?"), "words"), OTHER_PART, "turn 1: None"),
        (user(text("What?"), {"type": "input_audio", "input_audio": {}}), OTHER_PART, "turn 1: 'input_audio'"),
        (user(text("What?"), {"type": ["x"]}), OTHER_PART, "turn 1: ['x']"),
        ([ASKED, {"from": "tool", "value": "x"}], OTHER_ROLE, "turn 2: 'tool'"),
        ([ASKED, {"from": "GPT", "value": "x"}], OTHER_ROLE, "turn 2: 'GPT'"),
        ([ASKED, {"value": "x"}], OTHER_ROLE, "turn 2: None"),
        ([ASKED, {"from": ["gpt"], "value": "x"}], OTHER_ROLE, "turn 2: ['gpt']"),
    ],
)
def test_a_conversation_that_cant_be_read_says_which_turn_is_wrong(value: Any, reason: str, detail: str) -> None:
    with pytest.raises(RecordError) as error:
        read_conversation(value)
    assert (error.value.reason, error.value.detail) == (reason, detail)


def test_text_that_utf_8_cant_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        read_conversation([ASKED, {"from": "gpt", "value": "\ud800"}])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TURNS, True), ([{"role": None}], True), (["words", ASKED], True),
        ([], False), (["What?", "That."], False), ([{"speaker": "a", "text": "b"}], False), ("from", False),
        ({"from": "human"}, False), (None, False),
    ],
)  # fmt: skip
def test_a_list_of_objects_with_roles_is_a_conversation(value: Any, expected: bool) -> None:
    assert is_conversation(value) is expected
