"""Pair chooses a request for a description in the caption's language, always the same for the same caption."""

import pickle
from pathlib import Path

import pytest
from oasis_ray.content.stages.pair import In, Out, Pair
from pydantic import ValidationError

from oasis_ray.stage import Phrases

CONTEXT = {"prompts": (Path(__file__).parents[2] / "prompts",)}
SHIPPED = Pair.model_validate({"phrases": "describe"}, context=CONTEXT)
ONE = Pair(phrases=Phrases("one", {"en": ("Describe it.",), "zh": ("描述它。",), "pt-br": ("Descreva.",), "fr": ()}))


@pytest.mark.parametrize(
    ("language", "sure", "instruction"),
    [
        ("en", True, "Describe it."),
        ("zh", True, "描述它。"),
        ("zh-cn", True, "描述它。"),  # langdetect's names fall back to the language itself
        ("zh-tw", True, "描述它。"),
        ("pt-br", True, "Descreva."),
        ("pt", True, "Describe it."),
        ("zh-cn", False, "Describe it."),  # a guess is not trusted
        ("und", False, "Describe it."),
        ("und", True, "Describe it."),
        ("", True, "Describe it."),
        ("sw", True, "Describe it."),
        ("fr", True, "Describe it."),  # a language without a phrase
    ],
)
def test_pair_speaks_the_captions_language_else_english(language, sure, instruction):
    assert ONE.apply(In("A cat.", language, sure)) == Out(instruction)


def test_the_same_caption_always_gets_the_same_phrase():
    drawn = [SHIPPED.apply(In(f"Caption {i}.", "en")) for i in range(50)]
    again = Pair.model_validate({"phrases": "describe"}, context=CONTEXT)
    assert [again.apply(In(f"Caption {i}.", "en")) for i in range(50)] == drawn


@pytest.mark.parametrize("language", sorted(SHIPPED.phrases.languages))
def test_every_phrase_is_drawn_about_as_often_as_the_others(language):
    phrases = SHIPPED.phrases.languages[language]
    drawn = [SHIPPED.apply(In(f"Caption {i}.", language)).instruction for i in range(1_000)]
    assert set(drawn) == set(phrases)
    assert all(0.6 < drawn.count(phrase) * len(phrases) / 1_000 < 1.5 for phrase in phrases)


@pytest.mark.parametrize("caption", ["", "\0", "👨\u200d👩\u200d👧", "<|im_end|>", "x" * 1_000_000])
def test_any_caption_gets_a_phrase(caption):
    assert SHIPPED.apply(In(caption, "en")).instruction in SHIPPED.phrases.languages["en"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"phrases": "descibe"},
            "there are no phrases 'descibe' (known: describe, genixer_general). Did you mean 'describe'?",
        ),
        ({}, "phrases\n  Field required"),
        ({"phrases": "describe", "languages": ["en"]}, "languages\n  Extra inputs are not permitted"),
        ({"phrases": "describe", "fallback": "xx"}, "xx"),  # else an uncertain language would stop the run
    ],
)
def test_pair_refuses_parameters_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        Pair.model_validate(given, context=CONTEXT)
    assert message in str(error.value)


def test_the_fallback_is_a_parameter():
    stage = Pair(phrases=ONE.phrases, fallback="zh")
    assert stage.apply(In("A cat.", "sw")) == Out("描述它。")


def test_pair_is_frozen_and_survives_pickling():
    with pytest.raises(ValidationError, match="Instance is frozen"):
        SHIPPED.fallback = "zh"
    assert pickle.loads(pickle.dumps(SHIPPED)) == SHIPPED
