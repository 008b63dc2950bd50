"""A node asks, reads and notes; a row walks from node to node and ends once. The engine is a function of the call."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from oasis_ray.content.stages import categorize, clean, respond, score

from oasis_ray.engine.scripted import ScriptedEngine
from oasis_ray.errors import RowError, RunError
from oasis_ray.pipeline.node import NodeRunner, drawn, seed
from oasis_ray.pipeline.walk import walk
from oasis_ray.recipe.recipe import Node, Ref
from oasis_ray.recipe.row import Row
from oasis_ray.stage import ModelStage, RowStage
from oasis_ray.stage.prompt import Prompt
from oasis_ray.types import FAILED, MAIN, REJECTED, Call, Divert, Reply, Request, Sample
from tests.support import scripts


@dataclass(frozen=True)
class Text:
    text: str


class Twice(ModelStage[Text, Text]):
    """Asks two questions."""

    def requests(self, row: Text) -> list[Request]:
        return [Request(f"{row.text} {end}") for end in ("once", "twice")]

    def parse(self, row: Text, replies: list[Reply]) -> Text | Divert:
        return Text(" / ".join(reply.text for reply in replies))


class Count(RowStage[Text, Text]):
    def apply(self, row: Text) -> Text | Divert:
        return Text({1: "one", 2: "two"}[len(row.text)])


TEXT = {"text": (Ref("source", "text"),)}


def runner(
    script: Callable[[Call], Any], stage: Any, name: str = "n", inputs: Any = TEXT, route: str = MAIN
) -> NodeRunner:
    node = Node(name, "stage", stage, "llm", route, inputs)
    return NodeRunner(node, ScriptedEngine(script), f"digest of {name}", seed=7, priority=-3)


def row(text: str | None = "ask") -> Row:
    return Row("r", {}, None, None, source={"text": text})


def test_a_node_asks_with_its_own_seeds_and_notes_every_request() -> None:
    calls, ended = [], row()

    def script(call: Call) -> Reply:
        calls.append(call)
        once = (Sample("a", tokens=2), Sample("b", "length", tokens=3))
        return Reply(once if "once" in call.request.text else (Sample("c", "length", 4),), 9, 5, "e1", 0.25)

    assert asyncio.run(runner(script, Twice()).run(ended)) == Text("a / c")
    first, second = seed(7, "r", "n", 0), seed(7, "r", "n", 1)
    assert calls == [Call(Request("ask once"), "r", first, -3), Call(Request("ask twice"), "r", second, -3)]
    common = {"node": "n", "digest": "digest of n", "prompt_tokens": 9, "cached_tokens": 5}
    common |= {"engine": "e1", "engine_seconds": 0.25, "element": None}
    seconds = [step.pop("seconds") for step in ended.lineage]
    started = [step.pop("started") for step in ended.lineage]
    assert ended.lineage == [
        {**common, "seed": first, "finish": "stop", "reply_tokens": 5},
        {**common, "seed": second, "finish": "length", "reply_tokens": 4},
    ]
    assert all(0 <= spent < 5 for spent in seconds)
    assert all(0 <= time.time() - at < 5 for at in started)


def test_a_seed_depends_on_run_row_node_and_attempt_alone() -> None:
    given = [
        (7, "r", "n", 0),
        (8, "r", "n", 0),
        (7, "s", "n", 0),
        (7, "r", "m", 0),
        (7, "r", "n", 1),
        (7, "r\0n", "", 0),
    ]
    seeds = [seed(*values) for values in given]
    assert (seeds[0], len(set(seeds))) == (1004942986, 6)
    assert all(0 <= value < 2**31 for value in seeds)


def test_a_row_is_drawn_by_its_share_and_always_the_same() -> None:
    names = [f"r{i}" for i in range(2000)]
    assert [sum(drawn(0, name, share) for name in names) for share in (0.0, 1.0)] == [0, 2000]
    some = [name for name in names if drawn(0, name, 0.1)]
    assert 140 < len(some) < 260
    assert some == [name for name in names if drawn(0, name, 0.1)] != [name for name in names if drawn(1, name, 0.1)]


def raises(error: Exception) -> Callable[[Call], Reply]:
    def script(call: Call) -> Reply:
        raise error

    return script


def test_a_request_that_cannot_be_answered_fails_its_row() -> None:
    refused = runner(raises(RowError("prompt_over_context", "9000 tokens")), Twice())
    assert asyncio.run(refused.run(row(text="x"))) == Divert(FAILED, "prompt_over_context", "9000 tokens")


@pytest.mark.parametrize("stage", [categorize.Categorize(prompt=Prompt("p", "{{text}}")), clean.Clean()])
def test_a_text_that_the_input_lacks_fails_its_row_and_asks_nothing(stage: Any) -> None:
    result = asyncio.run(runner(raises(OSError("was asked")), stage).run(row(text=None)))
    assert (type(result), result.route) == (Divert, FAILED)


@pytest.mark.parametrize(
    ("node", "text", "expected"),
    [
        (runner(raises(OSError("the cable is out")), Twice()), "x", "node 'n', row 'r': OSError: the cable is out"),
        (runner(raises(RunError("pool 'llm': gone")), Twice()), "x", "pool 'llm': gone"),
        (runner(lambda call: Reply(()), Twice()), "x", "node 'n', row 'r': IndexError: tuple index out of range"),
        (runner(scripts.oasis, Count()), "", "node 'n', row 'r': KeyError: 0"),
    ],
)
def test_what_is_not_the_rows_fault_stops_the_run_and_names_the_row(node: NodeRunner, text: str, expected: str) -> None:
    with pytest.raises(RunError) as error:
        asyncio.run(node.run(row(text=text)))
    assert str(error.value) == expected


def test_a_node_of_another_route_does_not_end_the_judging() -> None:
    def says(reply: str) -> Callable[[Call], Reply]:
        return lambda call: Reply.of(reply)

    judge = score.Score(prompt=Prompt("p", "{{instruction}}"), accept=(5,))
    inputs = {"instruction": (Ref("source", "text"),)}
    runners = [
        runner(says("[[1]]"), judge, "first", inputs),
        runner(says("x"), clean.Clean(), "tidy", TEXT, "caption"),
        runner(says("[[2]]"), judge, "second", inputs),
        runner(says("x"), respond.Respond(), "answer", inputs),
    ]
    ended = row(text="What?")
    asyncio.run(walk(ended, runners, in_full=True))
    assert ended.values == {"first": score.Out(1, "[[1]]"), "second": score.Out(2, "[[2]]")}
    assert (ended.route, ended.node, ended.reason) == (REJECTED, "first", "score_1")


@pytest.mark.parametrize(
    ("said", "kept"), [("a\ud83d", "a\ufffd"), ("\ud83d\ude00", "😀"), ("\ufeffa\0", "\ufeffa\0"), ("", "")]
)
def test_half_a_character_in_a_reply_becomes_a_sign_that_can_be_written(said: str, kept: str) -> None:
    assert Reply.of(said).text == kept
