"""Categorize parses the kind of a text and extracts one instruction, whatever the form of the reply."""

import pickle
from pathlib import Path

import pytest
from oasis_ray.content.stages.categorize import Categorize, In, Out
from pydantic import ValidationError

from oasis_ray.stage import FAILED, Divert, Reply, Request, Sample, Sampling

CONTEXT = {"prompts": (Path(__file__).parents[2] / "prompts",)}
STAGE = Categorize.model_validate({"prompt": "categorize"}, context=CONTEXT)
ROW = In("Hi! How many boats are there?")
KIND = "Kind: instruction\n"


def test_categorize_asks_for_the_text_once_and_greedily():
    prompt = STAGE.prompt.text.replace("{{text}}", "What does {{text}} mean?")
    assert STAGE.requests(In("What does {{text}} mean?")) == [Request(prompt, (), "assistant", Sampling())]


@pytest.mark.parametrize(
    ("reply", "instruction"),
    [
        ("Kind: instruction\nInstruction: How many?", "How many?"),
        ("kind:instruction\ninstruction:count it", "count it"),  # no character is lost
        ("KIND : INSTRUCTION\n\nINSTRUCTION : How many?", "How many?"),
        ("Kind：instruction\nInstruction：数一数。", "数一数。"),
        ("**Kind:** instruction\n**Instruction:** How many?", "How many?"),
        ("**Kind**: **instruction**\n**Instruction**: How many?", "How many?"),
        ("- Kind: instruction\n- Instruction: How many?", "How many?"),
        ("> ## Kind: instruction\n> ## Instruction: How many?", "How many?"),
        ("It asks.\n\nKind: instruction\nIt is one.\nInstruction: How many?", "How many?"),
        (KIND + "Instruction:\nHow many?", "How many?"),
        (KIND + "Instruction: Choose.\nA. One\n\nB. Two\n", "Choose.\nA. One\n\nB. Two"),
        (KIND + "Instruction: Read it, then\r\nwrite.", "Read it, then\r\nwrite."),
        (KIND + "Instruction: What kind: caption or title?", "What kind: caption or title?"),
        (KIND + 'Instruction: "How many?"', "How many?"),
        (KIND + "Instruction: “有几只？”", "有几只？"),
        (KIND + "Instruction: 「いくつ?」", "いくつ?"),
        (KIND + "Instruction: ' How many? '", "How many?"),
        (KIND + 'Instruction: "Yes" or "No"?', '"Yes" or "No"?'),
        (KIND + 'Instruction: "Yes" or "no", is it "fit"', '"Yes" or "no", is it "fit"'),
        (KIND + "Instruction: Give JSON with the key {{text}}.", "Give JSON with the key {{text}}."),
        (KIND + "Instruction: a\0b <|image_pad|> 👩\u200d🚒?", "a\0b <|image_pad|> 👩\u200d🚒?"),
        (KIND + "Instruction: كم عدد القوارب؟", "كم عدد القوارب؟"),
        # Decoration around the instruction is removed; text inside it is kept.
        ("```\nKind: instruction\nInstruction: How many?\n```", "How many?"),
        (KIND + "Instruction: *Describe* it.", "*Describe* it."),
        (KIND + "Instruction: **How** many are **red**", "**How** many are **red**"),
        # One instruction, of the first kind.
        (KIND + "Instruction: A?\nInstruction: B?", "A?"),
        (KIND + "Instruction: A?\n\nKind: instruction\nInstruction: B?", "A?"),
        (KIND + "Instruction: A?\nKind: caption", "A?"),
        (
            KIND + "Instruction: A?\n\nText:\nA dog.\nAnswer:\nKind: caption",
            "A?",
        ),  # the reply continues with another example
    ],
)
def test_categorize_extracts_exactly_one_instruction(reply, instruction):
    assert STAGE.parse(ROW, [Reply.of(reply)]) == Out(instruction, reply)


@pytest.mark.parametrize(
    "reply",
    ["Kind: caption", "**Kind:** Caption.", "Kind：caption\n", "Kind: caption\nKind: instruction\nInstruction: A?"],
)
def test_categorize_sends_a_caption_to_its_route(reply):
    assert STAGE.parse(ROW, [Reply.of(reply)]) == Divert("caption", "caption", reply)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "no_kind"),
        ("I'd rather not say.", "no_kind"),
        ("种类：指令", "no_kind"),
        ("Kind: question\nInstruction: How many?", "no_kind"),
        ("Kind: captions", "no_kind"),
        ("Mankind: caption", "no_kind"),
        ("Instruction: How many?", "no_kind"),
        ("Kind:\0instruction", "no_kind"),
        ("Instruction: How many?\nKind: instruction", "no_instruction"),
        (KIND, "no_instruction"),
        (KIND + "How many?", "no_instruction"),
        (KIND + "Instruction:  \n ", "no_instruction"),
        (KIND + 'Instruction: ""', "no_instruction"),
        pytest.param("kind " * 200_000, "no_kind", id="a megabyte without a kind"),
        pytest.param(KIND + "x" * 1_000_000, "no_instruction", id="a megabyte without an instruction"),
    ],
)
def test_a_reply_that_cant_be_read_fails_with_the_whole_reply(reply, reason):
    assert STAGE.parse(ROW, [Reply.of(reply)]) == Divert(FAILED, reason, reply)


def test_an_instruction_that_was_cut_off_is_none_but_a_caption_is_one():
    cut = KIND + "Instruction: How man"
    assert STAGE.parse(ROW, [Reply((Sample(cut, "length"),))]) == Divert(FAILED, "instruction_truncated", cut)
    loop = "Kind: caption\nIt is"
    assert STAGE.parse(ROW, [Reply((Sample(loop, "length"),))]) == Divert("caption", "caption", loop)


@pytest.mark.parametrize("reply", ["\n" * 500_000, KIND + "\n * " * 200_000, KIND + "> \n" * 200_000])
def test_a_reply_of_empty_lines_is_read_without_hanging(reply):
    assert STAGE.parse(ROW, [Reply.of(reply)]).route == FAILED


def test_categorize_refuses_a_prompt_that_isnt_there_and_keeps_defaults():
    with pytest.raises(ValidationError, match=r"there is no prompt 'categorise'.*Did you mean 'categorize'"):
        Categorize.model_validate({"prompt": "categorise"}, context=CONTEXT)
    stage = Categorize.model_validate({"prompt": "categorize", "sampling": {"max_tokens": 9}}, context=CONTEXT)
    assert stage.sampling == Sampling(max_tokens=9)


def test_categorize_is_frozen_and_survives_pickling():
    with pytest.raises(ValidationError, match="Instance is frozen"):
        STAGE.sampling = Sampling()
    assert pickle.loads(pickle.dumps(STAGE)) == STAGE
