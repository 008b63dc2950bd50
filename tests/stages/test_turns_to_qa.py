"""Turns_to_qa takes the questions and answers out of a conversation."""

import pickle

import pytest
from oasis_ray.content.stages import conversation
from oasis_ray.content.stages.turns_to_qa import In, Out, TurnsToQa

from oasis_ray.stage import FAILED, REJECTED, Divert, Turn

A, B, SYSTEM = Turn("human", "A?"), Turn("gpt", "a"), Turn("system", "Be brief.")


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([A, B], Out(["A?"], ["a"], "A?", "a")),
        (
            [A, B, Turn("human", "C?"), Turn("gpt", "c")],
            Out(["A?", "C?"], ["a", "c"], "A?", "a"),
        ),
        ([SYSTEM, A, B], Out(["A?"], ["a"], "A?", "a")),
        ([A, SYSTEM, B, SYSTEM], Out(["A?"], ["a"], "A?", "a")),
        ([Turn("human", "<image>\nA?"), Turn("gpt", " a\n")], Out(["A?"], ["a"], "A?", "a")),
        ([Turn("human", "A?\n<image>"), Turn("gpt", "a<b")], Out(["A?"], ["a<b"], "A?", "a<b")),
        ([], Divert(REJECTED, "no_turns")),
        ([SYSTEM], Divert(REJECTED, "no_turns")),
        ([A], Divert(FAILED, "conversation_broken", "the speakers are: human")),
        ([B, A], Divert(FAILED, "conversation_broken", "the speakers are: gpt, human")),
        ([A, A, B], Divert(FAILED, "conversation_broken", "the speakers are: human, human, gpt")),
        ([A, B, A], Divert(FAILED, "conversation_broken", "the speakers are: human, gpt, human")),
        ([A, B, B, A], Divert(FAILED, "conversation_broken", "the speakers are: human, gpt, gpt, human")),
    ],
)
def test_every_question_has_its_answer(turns, expected):
    assert TurnsToQa().apply(In(turns)) == expected


def test_it_is_the_reverse_of_conversation():
    made = conversation.Conversation().apply(conversation.In(["A?", "B?"], ["a", "b"]))
    assert TurnsToQa().apply(In(made.turns)) == Out(["A?", "B?"], ["a", "b"], "A?", "a")


def test_turns_to_qa_survives_pickling():
    assert pickle.loads(pickle.dumps(TurnsToQa())) == TurnsToQa()
