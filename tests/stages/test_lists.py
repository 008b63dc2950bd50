"""Stages that make lists, or work on the elements of one: hooks, kind, select, distinct."""

import pytest
from oasis_ray.content.stages import distinct, element, hook, hooks, kind, select

from oasis_ray.stage import FAILED, REJECTED, Divert, Position, Prompt, Reply, Request, Sample
from oasis_ray.types import Image, Sampling

IMAGE = Image(b"", "d")


def test_hooks_asks_once_for_all_turns_and_leaves_empty_ones_out() -> None:
    stage = hooks.Hooks(n=3)
    (request,) = stage.requests(hooks.In(IMAGE))
    assert request == Request("", (IMAGE,), speaker="user", sampling=stage.sampling, n=3)
    reply = Reply((Sample(" What? \n"), Sample(" "), Sample("Where is it and", "length")))
    assert stage.parse(hooks.In(IMAGE), [reply]) == hooks.Out(["What?", "Where is it and"], [False, True])
    assert stage.parse(hooks.In(IMAGE), [Reply.of("", "\n")]) == Divert(REJECTED, "empty_hook", "")
    with pytest.raises(ValueError, match="n 3 samples the same turn each time at temperature 0"):
        hooks.Hooks(n=3, sampling=Sampling())


@pytest.mark.parametrize(
    ("opening", "text"), [("", ""), (" \n", ""), ("A cat.\n\n", "A cat.\n\n"), ("A cat.", "A cat.\n\n")]
)
def test_a_turn_continues_with_a_new_paragraph_after_its_opening(opening: str, text: str) -> None:
    assert hook.Hook().requests(hook.In(IMAGE, opening))[0].text == text
    assert hooks.Hooks(n=2).requests(hooks.In(IMAGE, opening))[0].text == text


ASKS = "Kind: instruction\nInstruction: What is it?"
PROMPT = Prompt("p", "Text: {{text}}")


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (ASKS, kind.Out("instruction", "What is it?", ASKS)),
        ("Kind: caption", kind.Out("caption", "", "Kind: caption")),
        ("I do not know.", Divert(FAILED, "no_kind", "I do not know.")),
        ("Kind: instruction", Divert(FAILED, "no_instruction", "Kind: instruction")),
    ],
)
def test_the_kind_of_a_text_is_noted_and_nothing_leaves_its_route(reply: str, result: object) -> None:
    stage = kind.Kind(prompt=PROMPT)
    assert stage.exits == ()
    assert stage.requests(kind.In("a"))[0].text == "Text: a"
    assert stage.parse(kind.In("a"), [Reply.of(reply)]) == result


def test_texts_are_selected_by_their_labels() -> None:
    stage = select.Select(labels=["x", "y"])
    assert stage.apply(select.In(["a", "b", "c"], ["x", "z", "y"])) == select.Out(["a", "c"], 2)
    assert stage.apply(select.In([], [])) == select.Out([], 0)
    assert stage.apply(select.In(["a"], [])) == Divert(FAILED, "lists_differ", "texts: 1, labels: 0")


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        (["What colour is the car?", "what COLOUR is the car"], [0]),
        (["What colour is the car?", "What colour is the bus?"], [0, 1]),  # 5 of 7 words
        (["What is it?", "What is it?", "What is it?"], [0]),
        (["", ""], [0]),
        (["?", "!"], [0, 1]),
        (["图中有几只猫？", "图中有几只猫", "图中有几只狗？"], [0, 2]),
        (["Ｗhat is it", "What is it"], [0]),
        (["a b c", "x y z", "c b a"], [0, 1]),
        ([], []),
    ],
)
def test_the_first_of_near_duplicates_stays(texts: list[str], kept: list[int]) -> None:
    stage = distinct.Distinct()
    results = [stage.apply(distinct.In(text, texts, Position(place))) for place, text in enumerate(texts)]
    assert [place for place, result in enumerate(results) if not isinstance(result, Divert)] == kept


def test_a_near_duplicate_is_dropped_with_its_similarity_and_the_earlier_text() -> None:
    stage = distinct.Distinct(below=0.5)
    texts = ["red car", "blue car park", "red car park"]
    assert stage.apply(distinct.In(texts[1], texts, Position(1))) == distinct.Out(texts[1], 0.25)
    dropped = Divert(REJECTED, "near_duplicate", "0.67: red car")
    assert stage.apply(distinct.In(texts[2], texts, Position(2))) == dropped


@pytest.mark.parametrize(("at", "result"), [(0, element.Out("a")), (-1, element.Out("c")), (3, None), (-4, None)])
def test_an_element_is_taken_by_its_position(at: int, result: object) -> None:
    found = element.Element(at=at).apply(element.In(["a", "b", "c"]))
    assert found == (result or Divert(REJECTED, "no_such_element", f"position {at} of 3"))
