"""The hook asks for a user turn after an image, and keeps the text."""

import pickle

import pytest
from oasis_ray.content.stages.hook import Hook, In, Out
from pydantic import ValidationError

from oasis_ray.stage import REJECTED, Divert, Image, Reply, Request, Sample, Sampling
from oasis_ray.stage.signature import contract

PICTURE = Image(b"bytes of a picture", "a digest")
ROW = In(PICTURE)


def test_hook_leaves_the_users_turn_open_after_the_image():
    paper = Sampling(temperature=1.0, top_k=20, top_p=1.0, max_tokens=512, min_tokens=50)
    assert Hook().requests(ROW) == [Request(text="", images=(PICTURE,), speaker="user", sampling=paper)]


def test_without_an_image_a_text_model_writes_the_whole_turn():
    stage = Hook.model_validate({"sampling": {"top_k": 0}})
    assert stage.requests(In()) == [Request(text="", images=(), speaker="user", sampling=stage.sampling)]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("How many boats are there?", "How many boats are there?"),
        ("\n\u3000 图中有几只船？ \t", "图中有几只船？"),
        ("One.\n\nTwo.\n", "One.\n\nTwo."),
        ("{{text}} \\1 %s", "{{text}} \\1 %s"),
        ("a\0b", "a\0b"),
        ("<|im_start|>user", "<|im_start|>user"),
        ("👩\u200d🚒", "👩\u200d🚒"),
        pytest.param("word " * 200_000, ("word " * 200_000).strip(), id="a megabyte"),
    ],
)
def test_hook_keeps_the_text_without_space_around_it(written, text):
    assert Hook().parse(ROW, [Reply.of(written)]) == Out(text, truncated=False)


def test_hook_marks_a_text_that_was_cut_off():
    cut = Reply((Sample(" How many bo", finish="length"),))
    assert Hook().parse(ROW, [cut]) == Out("How many bo", truncated=True)


@pytest.mark.parametrize("written", ["", " ", "\n\n", "\t\u3000\u2003\r\n"])
def test_hook_rejects_a_text_of_nothing_but_space(written):
    assert Hook().parse(ROW, [Reply.of(written)]) == Divert(REJECTED, "empty_hook", written)


def test_sampling_given_in_part_keeps_the_hooks_own_defaults():
    stage = Hook.model_validate({"sampling": {"presence_penalty": 1.0, "ban": ["special", "emoji"]}})
    assert stage.sampling == Sampling(
        temperature=1.0, top_k=20, top_p=1.0, max_tokens=512, min_tokens=50,
        presence_penalty=1.0, ban=("special", "emoji"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"temperature": 1.0}, "temperature\n  Extra inputs are not permitted"),
        ({"sampling": {"temprature": 1.0}}, "sampling.temprature\n  Extra inputs are not permitted"),
        ({"sampling": {"temperature": -1}}, "sampling.temperature\n  Input should be greater than or equal to 0"),
        ({"sampling": {"top_p": 0}}, "sampling.top_p\n  Input should be greater than 0"),
        ({"sampling": {"top_p": 1.5}}, "sampling.top_p\n  Input should be less than or equal to 1"),
        ({"sampling": {"max_tokens": 0}}, "sampling.max_tokens\n  Input should be greater than or equal to 1"),
        ({"sampling": {"ban": ["words"]}}, "sampling.ban.0\n  Input should be 'special' or 'emoji'"),
        ({"sampling": None}, "sampling\n  Input should be a valid dictionary"),
        ({"sampling": {"max_tokens": 32}}, "min_tokens"),  # the hook's own min_tokens, 50, can't be reached
    ],
)
def test_hook_refuses_parameters_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        Hook.model_validate(given)
    assert message in str(error.value)


def test_hook_is_frozen_and_survives_pickling():
    stage = Hook()
    with pytest.raises(ValidationError, match="Instance is frozen"):
        stage.sampling = Sampling()
    assert pickle.loads(pickle.dumps(stage)) == stage


def test_hook_reads_an_image_and_writes_a_text():
    assert contract(Hook) == (In, Out)
