"""Phrase draws a phrase in the row's language by the chance that it is given, and fills its slots."""

import pickle
from pathlib import Path

import pytest
from oasis_ray.content.stages.phrase import In, Out, Phrase
from pydantic import ValidationError

from oasis_ray.stage import Chance, Phrases, Slots

CONTEXT = {"prompts": (Path(__file__).parents[2] / "prompts",)}
SHIPPED = Phrase.model_validate({"phrases": "describe"}, context=CONTEXT)
LANGUAGES = {"en": ("Describe it.", "What is it?"), "zh": ("描述它。",), "pt-br": ("Descreva.",), "fr": ()}
STAGE = Phrase(phrases=Phrases("p", LANGUAGES))


def drawn(chance, language="en", sure=True, **texts):
    return In(language, sure, Slots(texts), chance=Chance(chance))


@pytest.mark.parametrize(
    ("language", "sure", "text"),
    [
        ("en", True, "Describe it."),
        ("zh", True, "描述它。"),
        ("zh-cn", True, "描述它。"),  # langdetect's names fall back to the language itself
        ("pt-br", True, "Descreva."),
        ("pt", True, "Describe it."),
        ("zh-cn", False, "Describe it."),  # a guess is not trusted
        ("und", False, "Describe it."),
        ("und", True, "Describe it."),
        ("", True, "Describe it."),
        ("fr", True, "Describe it."),  # a language without a phrase
    ],
)
def test_phrase_speaks_the_rows_language_else_english(language, sure, text):
    assert STAGE.apply(drawn(0.0, language, sure)) == Out(text)


def test_without_a_language_the_fallback_is_spoken():
    assert Phrase(phrases=STAGE.phrases, fallback="zh").apply(In(chance=Chance(0.0))) == Out("描述它。")


@pytest.mark.parametrize(
    ("chance", "text"),
    [(0.0, "Describe it."), (0.4999, "Describe it."), (0.5, "What is it?"), (1 - 2**-31, "What is it?")],
)
def test_the_chance_decides_which_phrase_is_drawn(chance, text):
    assert STAGE.apply(drawn(chance)) == Out(text)


@pytest.mark.parametrize("language", sorted(SHIPPED.phrases.languages))
def test_every_phrase_is_drawn_equally_often(language):
    phrases = SHIPPED.phrases.languages[language]
    found = [SHIPPED.apply(drawn(i / 1_000, language)).text for i in range(1_000)]
    assert set(found) == set(phrases)
    assert all(abs(found.count(phrase) - 1_000 / len(phrases)) <= 1 for phrase in phrases)


@pytest.mark.parametrize("label", ["a robin", "", "{{name}}", "\\1 %s {0}", "a\0b"])
def test_the_slots_of_a_phrase_are_filled_in_one_pass(label):
    stage = Phrase(phrases=Phrases("p", {"en": ("A picture of {{label}}, in {{language}}: {{label}}.",)}))
    assert stage.apply(drawn(0.7, "en", label=label, name="x")) == Out(f"A picture of {label}, in en: {label}.")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"phrases": "descibe"},
            "there are no phrases 'descibe' (known: describe, genixer_general). Did you mean 'describe'?",
        ),
        ({}, "phrases\n  Field required"),
        ({"phrases": "describe", "languages": ["en"]}, "languages\n  Extra inputs are not permitted"),
        ({"phrases": STAGE.phrases, "fallback": "fr"}, "fallback language 'fr' (there are: en, zh, pt-br)"),
        ({"phrases": STAGE.phrases, "fallback": "no"}, "fallback language 'no' (there are: en, zh, pt-br)"),
    ],
)
def test_phrase_refuses_parameters_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        Phrase.model_validate(given, context=CONTEXT)
    assert message in str(error.value)


def test_phrase_is_frozen_and_survives_pickling():
    with pytest.raises(ValidationError, match="Instance is frozen"):
        SHIPPED.fallback = "zh"
    assert pickle.loads(pickle.dumps(SHIPPED)) == SHIPPED
