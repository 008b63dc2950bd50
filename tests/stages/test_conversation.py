"""Conversation joins questions and answers, in turn."""

import pickle

import pytest
from oasis_ray.content.stages.conversation import Conversation, In, Out

from oasis_ray.stage import FAILED, REJECTED, Divert, Turn


@pytest.mark.parametrize(
    ("questions", "answers", "expected"),
    [
        (["A?"], ["a"], Out([Turn("human", "A?"), Turn("gpt", "a")])),
        (
            ["A?", "B?"],
            ["a", "b"],
            Out([Turn("human", "A?"), Turn("gpt", "a"), Turn("human", "B?"), Turn("gpt", "b")]),
        ),
        (["A?", "A?"], ["", "\0"], Out([Turn("human", "A?"), Turn("gpt", ""), Turn("human", "A?"), Turn("gpt", "\0")])),
        ([], [], Divert(REJECTED, "no_turns")),
        (["A?"], [], Divert(FAILED, "lists_differ", "questions: 1, answers: 0")),
        ([], ["a"], Divert(FAILED, "lists_differ", "questions: 0, answers: 1")),
        (["A?", "B?", "C?"], ["a", "b"], Divert(FAILED, "lists_differ", "questions: 3, answers: 2")),
    ],
)
def test_each_question_is_followed_by_its_answer(questions, answers, expected):
    assert Conversation().apply(In(questions, answers)) == expected


def test_conversation_survives_pickling():
    assert pickle.loads(pickle.dumps(Conversation())) == Conversation()
