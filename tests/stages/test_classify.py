"""Classify parses one of several choices in any form of a reply, and takes no other word for one."""

import pickle
import re

import pytest
from oasis_ray.content.stages.classify import Classify, In, Out
from pydantic import ValidationError

from oasis_ray.stage import FAILED, REJECTED, Divert, Image, Prompt, Reply, Request, Sample, Sampling, Slots

PROMPT = Prompt("same", "Is {{a}} the same as {{b}}?")
YES = Classify(prompt=PROMPT, choices=("Yes", "No"), accept=("Yes",))
NOTED = Classify(prompt=PROMPT, choices=("Yes", "No"))
ROW = In(texts=Slots(a="two", b="2"))
PICTURE = Image(b"bytes of a picture", "a digest")


def test_classify_asks_once_with_the_image_where_there_is_one():
    row = In(PICTURE, Slots(a="{{b}}", b="2"))
    assert YES.requests(row) == [Request("Is {{b}} the same as 2?", (PICTURE,), "assistant", Sampling())]
    assert YES.requests(ROW) == [Request("Is two the same as 2?", (), "assistant", Sampling())]


def test_a_terse_model_can_write_only_a_choice():
    terse = YES.model_copy(update={"terse": True})
    (asked,) = terse.requests(ROW)
    assert asked.choices == ("Yes", "No")
    assert [terse.parse(ROW, [Reply.of(said)]) for said in asked.choices] == [
        Out("Yes", "Yes"), Divert(REJECTED, "choice_no", "No", Out("No", "No")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "reply",
    [
        "They mean the same. [[Yes]]",
        "[[ yes\n]]",
        "**[[YES]]**",
        "[[**Yes**]], since both are two.",
        '[["Yes."]]',
        "[[No]] at first, but [[Yes]]",  # the last choice counts
        "[[Yes]] and [[Perhaps]]",  # of the choices
        "[[Yes]]\n\nNo.",  # one in brackets has priority
        "Answer [[Yes]] or [[No]]: I say [[Yes]]",
        "[[[[Yes]]]]",
        "[[Yes]]\0<|im_end|>",
        # A reply that is nothing but a choice
        "Yes",
        " yes.\n",
        "**Yes**",
        "“Yes。”",
        "`YES`",
        "_'Yes'._",
        "[Yes]",
        "【Yes】",
        "［［Yes］］",
        "```\nYes\n```",
        # A last line that is only a choice, or ends in one after a colon
        "The first says two. The second says no.\n\nYes.",
        "Both are two.\n**Yes**\n\n",
        "Answer: Yes",
        "No? The answer: yes.",
        "**Answer:** **Yes**.",
        "**Verdict: Yes**",
        "答案：Yes。",
        'So, is it the same: no or yes: "Yes"',
        "One.\r\nTwo.\r\nFinal answer:Yes",
        pytest.param("[[No " * 200_000 + "[[Yes]]", id="a megabyte before it"),
        pytest.param("[[Yes]]" + " x" * 500_000, id="a megabyte after it"),
        pytest.param(": " * 500_000 + "Yes", id="a megabyte of colons"),
    ],
)
def test_classify_takes_the_last_bracketed_choice_else_that_of_the_last_line(reply):
    assert YES.parse(ROW, [Reply.of(reply)]) == Out("Yes", reply)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        " \n",
        "**",
        "[[]]",
        "[[Maybe]]",
        "[[Yes or No]]",
        "Yes, they mean the same.",
        "Yes\nBoth are two.",
        "The answer is yes",  # in the middle of a sentence it may be denied: "is not yes"
        "It is not: quite yes",
        "Yesterday",
        "Answer: Eyes",
        "Answer: Yes!?",
        "Yes No",
        "Yes: maybe",
        "是",
        pytest.param("[[ " * 350_000, id="a megabyte of brackets"),
        pytest.param("yes " * 250_000, id="a megabyte of choices"),
        pytest.param("\n" * 1_000_000, id="a megabyte of empty lines"),
    ],
)
def test_a_reply_without_a_choice_fails_with_the_whole_reply(reply):
    assert YES.parse(ROW, [Reply.of(reply)]) == Divert(FAILED, "no_choice", reply)


@pytest.mark.parametrize("reply", ["Yes", "Both are two.\nYes", "Is it the same: no", "[[Yes"])
def test_the_end_of_a_reply_that_was_cut_off_is_no_choice(reply):
    assert YES.parse(ROW, [Reply((Sample(reply, "length"),))]) == Divert(FAILED, "no_choice", reply)
    said = "[[Yes]] because " + reply
    assert YES.parse(ROW, [Reply((Sample(said, "length"),))]) == Out("Yes", said)


@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        ("Incorrect", "Incorrect"),
        ("Correct.", "Correct"),
        ("Verdict: Incorrect", "Incorrect"),
        ("incorrect\ncorrect", "Correct"),
        ("[[incorrect]]", "Incorrect"),
    ],
)
def test_a_choice_that_ends_in_another_is_not_mistaken_for_it(reply, choice):
    stage = Classify(prompt=PROMPT, choices=("Correct", "Incorrect"))
    assert stage.parse(ROW, [Reply.of(reply)]) == Out(choice, reply)


@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        ("A: red", "A: red"),
        ("Answer: a:  RED", "A: red"),
        ("It is A: red.", "red"),
        ("red", "red"),
        ("Answer: not\u3000sure", "Not sure"),
    ],
)
def test_of_several_choices_at_the_end_the_longest_counts(reply, choice):
    stage = Classify(prompt=PROMPT, choices=("A: red", "red", "Not sure"))
    assert stage.parse(ROW, [Reply.of(reply)]) == Out(choice, reply)


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ("Not sure", "choice_not_sure"),
        ("N/A", "choice_n_a"),
        ("3.5", "choice_3_5"),
        ("不正确", "choice_不正确"),
        ("ÄRGER", "choice_ärger"),
    ],
)
def test_another_choice_than_accepted_rejects_the_row_and_is_kept(choice, reason):
    stage = Classify(prompt=PROMPT, choices=("Yes", choice), accept=("Yes",))
    reply = f"Hm. [[{choice}]]"
    assert stage.parse(ROW, [Reply.of(reply)]) == Divert(REJECTED, reason, reply, Out(choice, reply))
    assert not stage.accepts(Out(choice, reply))
    assert stage.accepts(Out("Yes", reply))


def test_without_accept_every_choice_is_only_noted():
    assert (YES.judges, NOTED.judges) == (True, False)
    assert NOTED.parse(ROW, [Reply.of("[[No]]")]) == Out("No", "[[No]]")
    assert NOTED.accepts(Out("No", "[[No]]"))


DIFFER = "choices are words that differ in more than upper and lower case, not "
QUOTE = 'is a boolean, not a text; write the choice in quotes, such as "Yes" or "true"'


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"choices": [True, False]}, f"True {QUOTE}"),  # a reader of YAML 1.1 makes this of [Yes, No]
        ({"choices": ["Yes", False]}, f"False {QUOTE}"),
        ({"accept": [True]}, f"True {QUOTE}"),
        ({"choices": ["Yes", 5]}, "choices.1\n  Input should be a valid string"),
        ({"choices": ["Yes", None]}, "choices.1\n  Input should be a valid string"),
        ({"choices": "Yes"}, "choices\n  Input should be a valid tuple"),
        ({"choices": True}, "choices\n  Input should be a valid tuple"),
        ({"choices": ["Yes"]}, "choices\n  Tuple should have at least 2 items"),
        ({"choices": ["Yes", ""]}, DIFFER),
        ({"choices": ["Yes", " \n"]}, DIFFER),
        ({"choices": ["Yes", "**"]}, DIFFER),
        ({"choices": ["Yes", "yes"]}, DIFFER),
        ({"choices": ["Yes", "No", "Yes."]}, DIFFER),
        ({"choices": ["straße", "STRASSE"]}, DIFFER),
        ({"accept": []}, "accept lists some of the choices (Yes, No), not ()"),
        ({"accept": ["Yes", "Maybe"]}, "accept lists some of the choices (Yes, No), not ('Yes', 'Maybe')"),
        ({"accept": ["yes"]}, "accept lists some of the choices (Yes, No), not ('yes',)"),
        ({"acept": ["Yes"]}, "acept\n  Extra inputs are not permitted"),
    ],
)
def test_classify_refuses_parameters_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        Classify.model_validate({"prompt": PROMPT, "choices": ["Yes", "No"]} | given)
    assert message in str(error.value)


def test_classify_keeps_the_rest_of_its_sampling_is_frozen_and_survives_pickling():
    stage = Classify.model_validate({"prompt": PROMPT, "choices": ["Yes", "No"], "sampling": {"max_tokens": 9}})
    assert stage.sampling == Sampling(max_tokens=9)
    with pytest.raises(ValidationError, match="Instance is frozen"):
        stage.accept = ("Yes",)
    assert pickle.loads(pickle.dumps(YES)) == YES


def weighed(text: str, **probabilities: float) -> list[Reply]:
    return [Reply((Sample(text, probabilities=probabilities),))]


@pytest.mark.parametrize(
    ("keys", "said", "yes", "end"),
    [
        ({"at_least": 0.7}, "Yes", 0.7, Out("Yes", "Yes", 0.7)),
        ({"at_least": 0.7}, "Yes", 0.699, Divert(REJECTED, "probability_low", "0.699", Out("Yes", "Yes", 0.699))),
        ({"at_least": 0.3}, "No", 0.4, Out("No", "No", 0.4)),  # the probability decides, not the choice
        ({"at_least": 0.0}, "No", 0.0, Out("No", "No", 0.0)),  # only noted
        ({"at_least": 0.5, "below": 0.7}, "Yes", 0.5, Out("Yes", "Yes", 0.5)),
        (
            {"at_least": 0.5, "below": 0.7},
            "Yes",
            0.7,
            Divert(REJECTED, "probability_high", "0.700", Out("Yes", "Yes", 0.7)),
        ),
        ({"below": 0.7}, "Yes", 1.0, Divert(REJECTED, "probability_high", "1.000", Out("Yes", "Yes", 1.0))),
        ({"below": 1.0}, "No", 0.0, Out("No", "No", 0.0)),
    ],
)
def test_a_probability_accepts_from_at_least_to_below(keys: dict, said: str, yes: float, end: Out | Divert):
    stage = Classify(prompt=PROMPT, choices=("Yes", "No"), accept=("Yes",), **keys)
    (asked,) = stage.requests(ROW)
    assert (asked.choices, asked.weigh) == (("Yes", "No"), True)
    assert stage.parse(ROW, weighed(said, Yes=yes, No=1 - yes)) == end


def test_the_probabilities_of_several_accepted_choices_add_up():
    stage = Classify(prompt=PROMPT, choices=("A", "B", "C"), accept=("A", "B"), at_least=0.5)
    assert stage.parse(ROW, weighed("C", A=0.25, B=0.25, C=0.5)) == Out("C", "C", 0.5)
    assert stage.words("choice") == ("A", "B", "C")  # C may be accepted


def test_a_reply_without_probabilities_fails_the_row():
    stage = Classify(prompt=PROMPT, choices=("Yes", "No"), accept=("Yes",), at_least=0.5)
    assert stage.parse(ROW, [Reply.of("Yes")]) == Divert(FAILED, "no_probability", "Yes")


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"at_least": 0.5}, "at_least and below need `accept`"),
        ({"accept": ["Yes"], "at_least": 0.7, "below": 0.7}, "below 0.7 is not more than at_least 0.7"),
        ({"accept": ["Yes"], "at_least": 1.1}, "less than or equal to 1"),
        ({"accept": ["Yes"], "below": -0.1}, "greater than or equal to 0"),
        (
            {"accept": ["Yes"], "at_least": 0.5, "choices": ["Yes", "No", "yellow"]},
            "choices 'Yes' and 'yellow' begin with the same letter",
        ),
    ],
)
def test_thresholds_that_can_not_be_meant_are_refused(keys: dict, problem: str):
    with pytest.raises(ValidationError, match=re.escape(problem)):
        Classify(**{"prompt": PROMPT, "choices": ["Yes", "No"], **keys})
