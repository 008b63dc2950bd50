"""A node with `for_each`: it is checked when the recipe is loaded, and works on each element of a list by itself."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.engine.scripted import ScriptedEngine
from oasis_ray.errors import JobError, RowError, RunError
from oasis_ray.output.record import record
from oasis_ray.pipeline.node import NodeRunner, seed
from oasis_ray.pipeline.walk import walk
from oasis_ray.recipe.binding import bind
from oasis_ray.recipe.elements import Elements
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.recipe.row import Row
from oasis_ray.recipe.source import source_type
from oasis_ray.recipe.spec import RecipeSpec
from oasis_ray.stage import REJECTED, Chance, Divert, ModelStage, Reply, Request, RowStage, Turn
from oasis_ray.text_files import read_yaml_text
from oasis_ray.types import Call
from tests.support.records import PLACE


@dataclass(frozen=True, slots=True)
class Words:
    parts: list[str]


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Lists:
    parts: list[str]
    marks: list[str]


class Cut(RowStage[Text, Lists]):
    """Divides a text at blanks, and marks each part."""

    marks: int = 0  # fewer than parts

    def apply(self, row: Text) -> Lists | Divert:
        parts = row.text.split()
        return Lists(parts, [f"<{part}>" for part in parts[self.marks :]])


@dataclass(frozen=True, slots=True)
class Spoken:
    turn: Turn


class Say(RowStage[Spoken, Text]):
    def apply(self, row: Spoken) -> Text:
        return Text(row.turn.text)


@dataclass(frozen=True, slots=True)
class Part:
    part: str
    chance: Chance
    mark: str = ""
    whole: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Seen:
    said: str
    chance: float


class Drop(RowStage[Part, Seen]):
    """Drops the parts that are listed, and says what it saw."""

    drop: tuple[str, ...] = ()

    def apply(self, row: Part) -> Seen | Divert:
        if row.part in self.drop:
            return Divert(REJECTED, f"dropped_{row.part}", f"in {row.whole}")
        return Seen(f"{row.part}{row.mark} of {len(row.whole)}", row.chance)


class Ask(ModelStage[Part, Text]):
    """Asks about a part, twice; leaves by an exit where the model says so."""

    @property
    def exits(self) -> tuple[str, ...]:
        return ("caption",)

    @property
    def judges(self) -> bool:
        return True

    def requests(self, row: Part) -> list[Request]:
        return [Request(f"{row.part}?"), Request(f"{row.part}!")]

    def parse(self, row: Part, replies: list[Reply]) -> Text | Divert:
        text = " ".join(reply.text for reply in replies)
        return Divert("caption", "a_caption", text) if "caption" in text else Text(text)


class Join(RowStage[Words, Text]):
    def apply(self, row: Words) -> Text | Divert:
        return Text(", ".join(row.parts))


STAGES = {**SHIPPED.stages, "cut": Cut, "drop": Drop, "ask": Ask, "join": Join, "say": Say}
HEAD = """
name: r
source: {text: text, names: list of texts, talk: conversation, spare: optional list of texts}
nodes:
  - {name: words, stage: cut, inputs: {text: source.text}}
"""
TAIL = """
records:
  accepted: {data_source: r, instruction: source.text, response: source.text, columns: {parts: words.parts}}
"""


def bound(nodes: str, tail: str = TAIL, head: str = HEAD) -> Recipe:
    spec = RecipeSpec.model_validate(read_yaml_text(head + nodes + tail, "r.yaml"))
    source = {name: source_type(kind) for name, kind in (spec.source or {}).items()}
    return bind(spec, where="r.yaml", stages=STAGES, prompts=[], pools=["llm"], source=source)


def walked(recipe: Recipe, text: str, reply: Callable[[Call], Any] = lambda call: Reply.of(call.request.text)) -> Row:
    engine = ScriptedEngine(reply)
    row = Row("r", PLACE, None, None, source={"text": text, "names": ["x", "y"], "talk": [], "spare": None})
    runners = [NodeRunner(node, engine if node.pool else None, "d", 7, 0) for node in recipe.nodes]
    asyncio.run(walk(row, runners, in_full=False))
    return row


CHECK = "  - {name: check, stage: drop, for_each: {part: words.parts}, with: {drop: [b, d]}}\n"
NEXT = "  - {name: next, stage: drop, for_each: {part: check.said, mark: words.marks}, inputs: {whole: words.parts}}\n"


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        (
            "  - {name: check, stage: drop, for_each: {part: words.parts, mark: source.names}}",
            (
                "r.yaml, node 'check': for_each names lists of different origin, 'words.parts' (from 'words') and "
                "'source.names' (from 'source.names'), so their elements do not belong together; name lists of one "
                "origin, or bind whole lists in `inputs`"
            ),
        ),
        (
            "  - {name: check, stage: drop, for_each: {part: source.text}}",
            "r.yaml, node 'check': input 'part' must be list of texts, but 'source.text' is text",
        ),
        (
            "  - {name: check, stage: drop, for_each: {part: source.spare}}",
            "r.yaml, node 'check': input 'part' must be list of texts, but 'source.spare' is optional list of texts",
        ),
        (
            "  - {name: check, stage: drop, for_each: {part: source.talk}}",
            "r.yaml, node 'check': input 'part' must be list of texts, but 'source.talk' is conversation",
        ),
        (
            "  - {name: check, stage: say, for_each: {turn: source.talk}}",
            "r.yaml, node 'check': input 'turn': a conversation is one value; stage 'turns_to_qa' lists its texts",
        ),
        (
            "  - {name: check, stage: drop, for_each: {part: words.parts, whole: words.marks}}",
            "r.yaml, node 'check': input 'whole' must be list of lists of texts, but 'words.marks' is list of texts",
        ),
        (
            "  - {name: check, stage: drop, for_each: {part: words.parts, prat: words.marks}}",
            (
                "r.yaml, node 'check': input 'prat' is not one of stage 'drop' (it reads: part, mark, whole). "
                "Did you mean 'part'?"
            ),
        ),
        (
            "  - {name: check, stage: drop, for_each: {mark: words.parts}}",
            "r.yaml, node 'check': input 'part' (text) is not bound; add `part: node.field`",
        ),
        (
            "  - {name: check, stage: ask, pool: llm, for_each: {part: words.parts}, exits: {caption: other}}",
            (
                "r.yaml, node 'check': an element that the stage diverts is dropped, so a node with `for_each` has no "
                "`exits`; remove them"
            ),
        ),
        (
            CHECK + "  - {name: next, stage: drop, inputs: {part: check.said}}",
            "r.yaml, node 'next': input 'part' must be text, but 'check.said' is list of texts",
        ),
    ],
)
def test_a_wrong_for_each_is_reported_when_the_recipe_is_loaded(nodes: str, problem: str) -> None:
    with pytest.raises(JobError) as caught:
        bound(nodes)
    assert caught.value.problems == (problem,)


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        (
            "{name: check, stage: drop, inputs: {part: words.part}, require: all}",
            "`require: all` is about the elements of a list; name the list in `for_each`",
        ),
        (
            "{name: check, stage: drop, inputs: {part: source.text}, for_each: {part: words.parts}}",
            "input 'part' is bound in both `inputs` and `for_each`; bind it in one of them",
        ),
    ],
)
def test_for_each_and_what_belongs_to_it_come_together(node: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("(", r"\(")):
        bound(f"  - {node}\n")


def test_lists_of_one_origin_keep_step_and_later_nodes_see_what_is_left() -> None:
    row = walked(bound(CHECK + NEXT + "  - {name: all, stage: join, inputs: {parts: next.said}}\n"), "a b c d e")
    assert row.values["all"] == Text("a of 0<a> of 3, c of 0<c> of 3, e of 0<e> of 3")
    assert row.route == "main"


def test_an_element_that_is_dropped_leaves_its_reason_and_a_gap() -> None:
    recipe = bound(CHECK + NEXT)
    row = walked(recipe, "a b c d e")
    stored = record(row, recipe, keep_images=False)
    said = [entry and entry["said"] for entry in stored["nodes"]["next"]]
    assert said == ["a of 0<a> of 3", None, "c of 0<c> of 3", None, "e of 0<e> of 3"]
    assert stored["elements"] == [
        {
            "node": "check",
            "count": 5,
            "dropped": [
                {"element": 1, "outcome": "rejected", "reason": "dropped_b", "detail": "in []"},
                {"element": 3, "outcome": "rejected", "reason": "dropped_d", "detail": "in []"},
            ],
        },
        {"node": "next", "count": 3, "dropped": []},
    ]
    assert stored["columns"] == {"parts": ["a", "c", "e"]}


@pytest.mark.parametrize(
    ("text", "require", "end"),
    [
        ("a", "any", ("main", None, None)),
        ("a b", "any", ("main", None, None)),
        ("b d", "any", ("rejected", "check", "dropped_d")),  # the last of them
        ("", "any", ("rejected", "check", "no_elements")),
        ("a c", "all", ("main", None, None)),
        ("a d b", "all", ("rejected", "check", "dropped_d")),  # the first of them
        ("", "all", ("rejected", "check", "no_elements")),
        (" ".join(f"w{n}" for n in range(1000)), "all", ("main", None, None)),
    ],
)
def test_a_row_continues_with_any_element_or_only_with_all(text: str, require: str, end: Any) -> None:
    row = walked(bound(CHECK.replace("}}", f"}}, require: {require}}}", 1) if require == "all" else CHECK), text)
    assert (row.route, row.node, row.reason) == end
    assert ("check" in row.values) == bool(text)  # the elements of a row that is rejected are kept too


def test_an_exit_of_the_stage_drops_the_element() -> None:
    node = "  - {name: check, stage: ask, pool: llm, for_each: {part: words.parts}}\n"
    row = walked(bound(node), "a b", lambda call: Reply.of("caption" if "a" in call.request.text else "b"))
    assert row.values["check"] == Elements("words", (Divert("rejected", "a_caption", "caption caption"), Text("b b")))
    assert not bound(node).nodes[1].judges  # so that a row that is scored in full does not continue past it


def test_each_element_has_its_seeds_whatever_became_of_its_neighbours() -> None:
    node = "  - {name: say, stage: ask, pool: llm, for_each: {part: words.parts}}\n"

    async def later_elements_first(call: Call) -> Reply:
        await asyncio.sleep(0.02 if "a" in call.request.text else 0)
        return Reply.of(call.request.text)

    row = walked(bound(CHECK + node), "a b c", later_elements_first)
    expected = [(place, seed(7, "r", f"say[{place}]", number)) for place in (0, 2) for number in (0, 1)]
    assert [(step["element"], step["seed"]) for step in row.lineage] == expected
    chances = [result.chance for result in row.values["check"].results if isinstance(result, Seen)]
    assert chances == [seed(7, "r", f"check[{place}]", 0) / 2**31 for place in (0, 2)]


def test_an_engine_that_refuses_an_element_drops_it_and_a_poison_row_fails() -> None:
    recipe = bound("  - {name: check, stage: ask, pool: llm, for_each: {part: words.parts}}\n")

    def reply(reason: str) -> Callable[[Call], Any]:
        def refuse(call: Call) -> Reply:
            if "a" in call.request.text:
                raise RowError(reason, "it is too long")
            return Reply.of("fine")

        return refuse

    row = walked(recipe, "a b", reply("prompt_over_context"))
    assert row.values["check"].results == (Divert("failed", "prompt_over_context", "it is too long"), Text("fine fine"))
    row = walked(recipe, "a b", reply("poison"))
    assert (row.route, row.node, row.reason, row.values.get("check")) == ("failed", "check", "poison", None)


def test_lists_of_a_stage_that_differ_in_length_end_the_run() -> None:
    uneven = HEAD.replace("source.text}}", "source.text}, with: {marks: 1}}")
    with pytest.raises(RunError, match=r"the lists of for_each differ in length: \{'part': 3, 'mark': 2\}"):
        walked(
            bound("  - {name: n, stage: drop, for_each: {part: words.parts, mark: words.marks}}", head=uneven), "a b c"
        )
    late = CHECK + "  - {name: all, stage: join, inputs: {parts: words.marks}}\n"
    with pytest.raises(RunError, match=r"list 'words.marks' has 2 elements, and the list .* has 3;"):
        walked(bound(late, head=uneven), "a b c")


def test_a_list_of_the_source_has_elements_too() -> None:
    row = walked(bound("  - {name: check, stage: drop, for_each: {part: source.names}, with: {drop: [x]}}\n"), "a")
    assert row.values["check"].group == "source.names"
    assert row.values["check"].left == (1,)


def test_for_each_is_part_of_the_digest() -> None:
    nodes = [CHECK, CHECK.replace("words.parts", "words.marks"), CHECK.replace("}}", "}, require: all}", 1)]
    plain = bound("  - {name: check, stage: drop, inputs: {part: source.text}, with: {drop: [b, d]}}\n")
    digests = {recipe.nodes[1].digest(None) for recipe in (*map(bound, nodes), plain)}
    assert len(digests) == 4
