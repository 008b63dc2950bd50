"""Generate asks once with the filled prompt, and takes the reply as a text."""

import json
import pickle

import pytest
from oasis_ray.content.stages.generate import Generate, In, Out
from oasis_ray.content.stages.reasoning import In as ReasoningIn
from oasis_ray.content.stages.reasoning import Reasoning
from pydantic import ValidationError

from oasis_ray.engine.reasoning import answer_of
from oasis_ray.stage import (
    FAILED,
    REJECTED,
    Divert,
    Image,
    Prompt,
    Prompts,
    Reply,
    Request,
    Sample,
    Sampling,
    Slots,
)  # fmt: skip

ONE = Generate(prompt=Prompt("inquire", "What would {{caption}} answer?"))
FOLDER = Prompts("kinds", {"common": Prompt("kinds/common", "{{general}}"), "choice": Prompt("kinds/choice", "A-D?")})
MANY = Generate(prompts=FOLDER)
ROW = In(texts=Slots(caption="A cat."))
PICTURE = Image(b"bytes of a picture", "a digest")


@pytest.mark.parametrize("caption", ["A cat.", "", "{{caption}} {{variant}} {0} \\1 %s", "a\0b <image>", "图中有猫。"])
def test_generate_asks_once_with_the_filled_prompt(caption):
    row = In(texts=Slots(caption=caption))
    assert ONE.requests(row) == [Request(f"What would {caption} answer?", (), "assistant", Sampling())]


def test_the_image_comes_first_where_there_is_one():
    assert ONE.requests(In(PICTURE, texts=Slots(caption="A cat."))) == [
        Request("What would A cat. answer?", (PICTURE,), "assistant", Sampling())
    ]


@pytest.mark.parametrize(("variant", "text"), [("common", "Ask."), ("choice", "A-D?")])
def test_of_a_folder_each_row_gets_the_prompt_of_its_variant(variant, text):
    row = In(variant=variant, texts=Slots(general="Ask."))
    assert MANY.requests(row) == [Request(text, (), "assistant", Sampling())]
    assert MANY.parse(row, [Reply.of("Question: Is it red?")]) == Out("Question: Is it red?")


@pytest.mark.parametrize("variant", ["", "Common", "common ", "kinds/common", "None"])
def test_a_variant_that_the_folder_lacks_fails_the_row_and_asks_nothing(variant):
    row = In(variant=variant, texts=Slots(general="Ask."))
    assert MANY.requests(row) == []
    assert MANY.parse(row, []) == Divert(FAILED, "no_such_variant", f"{variant!r} is not one of: common, choice")


def test_a_prompt_may_read_the_name_of_its_variant_too():
    stage = Generate(prompts=Prompts("kinds", {"common": Prompt("kinds/common", "A {{variant}} question, please.")}))
    assert stage.requests(In(variant="common"))[0].text == "A common question, please."


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("Two boats.", "Two boats."),
        ("\n \u3000Two.\n\nBoats.\t", "Two.\n\nBoats."),
        ("```json\n{}\n```", "```json\n{}\n```"),
        ("<think>a</think>b", "<think>a</think>b"),
        ("a\0b <|im_end|>", "a\0b <|im_end|>"),
        pytest.param("boat " * 200_000, ("boat " * 200_000).strip(), id="a megabyte"),
    ],
)
def test_generate_keeps_the_reply_without_space_around_it(said, text):
    assert ONE.parse(ROW, [Reply.of(said)]) == Out(text)


@pytest.mark.parametrize(
    ("sample", "expected", "kept"),
    [
        (Sample(""), Divert(REJECTED, "empty_text"), Divert(REJECTED, "empty_text")),
        (Sample(" \n\u3000"), Divert(REJECTED, "empty_text", " \n\u3000"), Divert(REJECTED, "empty_text", " \n\u3000")),
        (Sample("", "length"), Divert(REJECTED, "empty_text"), Divert(REJECTED, "empty_text")),
        (Sample(" Two bo", "length"), Divert(REJECTED, "text_truncated", " Two bo"), Out("Two bo")),
        (Sample("Two.", "stop"), Out("Two."), Out("Two.")),
    ],
)
def test_an_empty_reply_and_one_that_was_cut_off_reject_the_row(sample, expected, kept):
    assert ONE.parse(ROW, [Reply((sample,))]) == expected
    assert ONE.model_copy(update={"keep_truncated": True}).parse(ROW, [Reply((sample,))]) == kept


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (Sample("Two.", reasoning="One and one."), Out("<think>\nOne and one.\n</think>\n\nTwo.")),
        (Sample(" Two.\n", reasoning="a\n\nb"), Out("<think>\na\n\nb\n</think>\n\nTwo.")),
        (Sample("Two."), Out("Two.")),
        (Sample("", reasoning="One and one."), Divert(REJECTED, "empty_text")),
        (Sample("Tw", "length", reasoning="One and one."), Divert(REJECTED, "text_truncated", "Tw")),
    ],
)
def test_the_reasoning_that_engines_separate_is_kept_where_the_recipe_asks_for_it(sample, expected):
    kept = ONE.model_copy(update={"keep_reasoning": True})
    assert kept.parse(ROW, [Reply((sample,))]) == expected
    assert ONE.parse(ROW, [Reply((sample,))]) == (Out("Two.") if isinstance(expected, Out) else expected)


@pytest.mark.parametrize(
    "said", ["<think>\nOne and one.\n</think>\n\nTwo.", "One and one.</think>Two.", "<think>One and one.</think>Two."]
)
def test_reasoning_that_is_kept_can_be_divided_from_the_answer_again(said):
    answer, reasoning = answer_of(said)
    kept = ONE.model_copy(update={"keep_reasoning": True})
    text = kept.parse(ROW, [Reply((Sample(answer, reasoning=reasoning),))]).text
    parts = Reasoning().apply(ReasoningIn(text))
    assert (parts.thought, parts.answer) == ("One and one.", "Two.")
    assert answer_of(text) == (answer, reasoning)


VARIANTS = "input 'variant' names one of common, choice; add `variant: node.field`"
UNREAD = "input 'variant' is read with `prompts` only; remove it, or name a folder of prompts"


@pytest.mark.parametrize(
    ("stage", "inputs", "problems"),
    [
        (ONE, {"caption": 1}, []),
        (ONE, {"caption": 1, "variant": 1}, [UNREAD]),
        (Generate(prompt=Prompt("p", "{{variant}}")), {"variant": 1}, []),
        (MANY, {"general": 1, "variant": 1}, []),
        (MANY, {"general": 1}, [VARIANTS]),
    ],
)
def test_a_variant_is_bound_where_prompts_are_a_folder_and_there_alone(stage, inputs, problems):
    assert stage.problems(inputs) == problems


@pytest.fixture
def context(tmp_path):
    for name in ("one", "kinds/a", "kinds/b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.txt").write_text(f"This is {name}.")
    return {"prompts": (tmp_path,)}


def test_prompts_are_named_and_given_by_name_and_digest(context):
    one, many = ({"prompt": "one", "prompts": None}, {"prompts": "kinds"})
    assert Generate.model_validate(one, context=context).prompt == Prompt("one", "This is one.")
    stage = Generate.model_validate(many, context=context)
    assert stage.prompts.variants == {name: Prompt(f"kinds/{name}", f"This is kinds/{name}.") for name in "ab"}
    assert stage.model_dump(mode="json", exclude_defaults=True) == {
        "prompts": {"name": "kinds", "digest": stage.prompts.digest}
    }


EITHER = "give either `prompt`, or `prompts`: a folder of which the input `variant` names a prompt"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, EITHER),
        ({"prompt": None}, EITHER),
        ({"prompt": "one", "prompts": "kinds"}, EITHER),
        ({"prompt": "on"}, "prompt\n  Value error, there is no prompt 'on' (known: one). Did you mean 'one'?"),
        ({"prompts": "kind"}, "there is no folder of prompts 'kind' (known: kinds). Did you mean 'kinds'?"),
        ({"prompts": "one"}, "there is no folder of prompts 'one' (known: kinds)"),
        ({"prompt": "one", "keep": True}, "keep\n  Extra inputs are not permitted"),
    ],
)
def test_generate_refuses_parameters_that_cant_be_meant(given, message, context):
    with pytest.raises(ValidationError) as error:
        Generate.model_validate(given, context=context)
    assert message in str(error.value)


def test_generate_keeps_the_rest_of_its_sampling_is_frozen_and_survives_pickling(context):
    stage = Generate.model_validate({"prompt": "one", "sampling": {"max_tokens": 9}}, context=context)
    assert stage.sampling == Sampling(max_tokens=9)
    with pytest.raises(ValidationError, match="Instance is frozen"):
        stage.keep_truncated = True
    assert pickle.loads(pickle.dumps(MANY)) == MANY


COUNT = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (Sample(' {"count": 2}\n'), Out('{"count": 2}')),
        (Sample('{"count": 2}', reasoning="One and one."), Out('{"count": 2}')),
        (Sample('{"count"', "length"), Divert(REJECTED, "text_truncated", '{"count"')),
        (Sample('{"count": 2}', "length"), Divert(REJECTED, "text_truncated", '{"count": 2}')),
        (Sample(" "), Divert(REJECTED, "empty_text", " ")),
        (
            Sample('{"count": "two"}'),
            Divert(FAILED, "not_of_schema", "$.count: 'two' is not of type 'integer'\n{\"count\": \"two\"}"),
        ),
        (
            Sample("Two."),
            Divert(FAILED, "not_of_schema", "it is not JSON: Expecting value: line 1 column 1 (char 0)\nTwo."),
        ),
    ],
)
def test_with_a_schema_the_text_is_json_of_it_or_the_row_fails(sample, expected):
    stage = Generate(prompt=ONE.prompt, schema=COUNT)
    assert [json.loads(asked.schema) for asked in stage.requests(ROW)] == [COUNT]
    assert stage.parse(ROW, [Reply((sample,))]) == expected


@pytest.mark.parametrize("key", ["keep_truncated", "keep_reasoning"])
def test_with_a_schema_nothing_else_than_json_is_kept(key):
    with pytest.raises(ValidationError, match=f"with a `schema` the text is JSON, and with `{key}` it may not be"):
        Generate(**{"prompt": ONE.prompt, "schema": COUNT, key: True})
