"""Respond asks the instruction itself, and keeps the most likely complete answer."""

import pickle

import pytest
from oasis_ray.content.stages.respond import In, Out, Respond
from pydantic import ValidationError

from oasis_ray.stage import REJECTED, Divert, Image, Reply, Request, Sample, Sampling

PICTURE = Image(b"bytes of a picture", "a digest")
ROW = In("How many boats?", PICTURE)
FIVE = Respond.model_validate({"best_of": 5, "sampling": {"temperature": 1.0}})


def test_the_instruction_itself_is_the_users_turn():
    assert Respond().requests(ROW) == [Request("How many boats?", (PICTURE,), "assistant", Sampling())]
    assert Respond().requests(In("What is {{this}}?")) == [Request("What is {{this}}?", (), "assistant", Sampling())]


def test_best_of_samples_n_answers_and_asks_for_likelihoods():
    drawn = Sampling(temperature=1.0)
    assert FIVE.requests(ROW) == [Request("How many boats?", (PICTURE,), "assistant", drawn, n=5, likelihood=True)]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("Two boats.", "Two boats."),
        ("\n Two boats.\t", "Two boats."),
        ("两只船。", "两只船。"),
        ("```json\n{}\n```", "```json\n{}\n```"),
        ("a\0b <|im_end|>", "a\0b <|im_end|>"),
        pytest.param("boat " * 200_000, ("boat " * 200_000).strip(), id="a megabyte"),
    ],
)
def test_respond_keeps_the_answer_without_space_around_it(said, text):
    assert Respond().parse(ROW, [Reply.of(said)]) == Out(text, None)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([("a", "stop", -0.5), ("b", "stop", -0.1), ("c", "stop", -0.9)], Out("b", -0.1)),
        ([("a", "stop", -0.5), ("b", "stop", -0.5)], Out("a", -0.5)),  # the first of equals
        ([("a", "stop", None), ("b", "stop", None)], Out("a", None)),
        ([("a", "stop", None), ("b", "stop", -0.1)], Out("b", -0.1)),  # an unknown likelihood is not higher
        ([("a", "stop", float("-inf")), ("b", "stop", -99.0)], Out("b", -99.0)),
        ([("a", "length", -0.1), ("b", "stop", -0.9)], Out("b", -0.9)),  # a truncated answer is not kept
        ([("", "stop", -0.1), (" \n", "stop", -0.2), ("c", "stop", -3.0)], Out("c", -3.0)),
        ([("a", "length", -0.1), ("b", "length", -0.2)], Divert(REJECTED, "response_truncated", "a")),
        ([("a", "length", -0.1), ("", "stop", -0.2)], Divert(REJECTED, "empty_response", "a")),
        ([(" ", "stop", -0.1), ("", "stop", -0.2)], Divert(REJECTED, "empty_response", " ")),
    ],
)
def test_best_of_keeps_the_most_likely_complete_answer(samples, expected):
    reply = Reply(tuple(Sample(text, finish, 1, likelihood) for text, finish, likelihood in samples))
    assert FIVE.parse(ROW, [reply]) == expected


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (Sample("Two bo", "length"), Out("Two bo", None)),
        (Sample("Two boats.", "stop"), Out("Two boats.", None)),
        (Sample(" ", "length"), Divert(REJECTED, "empty_response", " ")),
    ],
)
def test_keep_truncated_takes_what_was_cut_off(sample, expected):
    assert Respond(keep_truncated=True).parse(ROW, [Reply((sample,))]) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"best_of": 2}, "best_of 2 samples the same answer each time at temperature 0; set sampling.temperature"),
        ({"best_of": 0}, "best_of\n  Input should be greater than or equal to 1"),
        ({"best_of": 65}, "best_of\n  Input should be less than or equal to 64"),
        ({"keep_truncated": "perhaps"}, "keep_truncated\n  Input should be a valid boolean"),
        ({"prompt": "clarity"}, "prompt\n  Extra inputs are not permitted"),
    ],
)
def test_respond_refuses_parameters_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        Respond.model_validate(given)
    assert message in str(error.value)


def test_sampling_given_in_part_keeps_the_rest_greedy():
    assert Respond.model_validate({"sampling": {"max_tokens": 9}}).sampling == Sampling(max_tokens=9)


def test_respond_is_frozen_and_survives_pickling():
    with pytest.raises(ValidationError, match="Instance is frozen"):
        FIVE.best_of = 1
    assert pickle.loads(pickle.dumps(FIVE)) == FIVE
