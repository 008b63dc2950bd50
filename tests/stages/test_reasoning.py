"""Reasoning divides a reply at the end of its thought."""

import pickle

import pytest
from oasis_ray.content.stages.reasoning import In, Out, Reasoning
from pydantic import ValidationError

from oasis_ray.stage import REJECTED, Divert


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>One and one.</think>Two.", "One and one.", "Two."),
        ("<think>\nOne.\n\nAnd one.\n</think>\n\n Two.\n", "One.\n\nAnd one.", "Two."),
        ("One and one.</think>Two.", "One and one.", "Two."),  # a chat template has opened the thought
        ("<think>\n\n</think>\n\nTwo.", "", "Two."),
        ("Well. <think>One.</think>Two.", "Well. One.", "Two."),
        ("<think>a</think>b<think>c</think>d", "abc", "d"),  # the last end counts
        ("<think>It says </think> there.</think>Two.", "It says  there.", "Two."),
        ("<think>a < b > c</think>a</thin>", "a < b > c", "a</thin>"),
        ("<think>图</think>两个。", "图", "两个。"),
        ("<think>a</think>b<think>", "a", "b<think>"),
        ("<think>a\0</think>b", "a\0", "b"),
        pytest.param("<think>" * 100_000 + "</think>" * 100_000 + "b", "", "b", id="a megabyte of tags"),
    ],
)
def test_the_answer_is_what_follows_the_last_end_of_a_thought(text, thought, answer):
    assert Reasoning().apply(In(text)) == Out(text, thought, answer)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_reasoning_end"),
        ("Two.", "no_reasoning_end"),
        ("<think>One and", "no_reasoning_end"),  # cut off
        ("<think>One</THINK>Two.", "no_reasoning_end"),
        ("<think>One</ think>Two.", "no_reasoning_end"),
        ("<think>One</think>", "empty_answer"),
        ("<think>One</think> \n\u3000", "empty_answer"),
        ("<think>One</think>Two.</think>", "empty_answer"),
    ],
)
def test_a_thought_without_an_end_and_one_without_an_answer_reject_the_row(text, reason):
    assert Reasoning().apply(In(text)) == Divert(REJECTED, reason, text)


def test_the_tags_are_parameters():
    stage = Reasoning(open="[THINK]", close="[/THINK]")
    assert stage.apply(In("[THINK]a</think>b[/THINK]c")) == Out("[THINK]a</think>b[/THINK]c", "a</think>b", "c")
    same = Reasoning(open="###", close="###")
    assert same.apply(In("### a ### b")) == Out("### a ### b", "a", "b")


@pytest.mark.parametrize("name", ["open", "close"])
def test_reasoning_refuses_empty_tags(name):
    with pytest.raises(ValidationError, match=f"{name}\n  String should have at least 1 character"):
        Reasoning.model_validate({name: ""})


def test_reasoning_is_frozen_and_survives_pickling():
    stage = Reasoning(open="<thought>")
    with pytest.raises(ValidationError, match="Instance is frozen"):
        stage.open = "<a>"
    assert pickle.loads(pickle.dumps(stage)) == stage
