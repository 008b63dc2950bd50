"""A node asks, reads and notes; a row walks from node to node and ends once. The engine is a function of the call."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.engine.scripted import ScriptedEngine
from oasis_ray.errors import EngineLostError, RowError, RunError
from oasis_ray.load import load_job
from oasis_ray.node import NodeRunner, drawn, seed
from oasis_ray.prompt import Prompt
from oasis_ray.recipe import Node, Ref
from oasis_ray.rows import Call, Divert, Reply, Request, Route, Sample
from oasis_ray.schema import Ended
from oasis_ray.segment import Segment, walk
from oasis_ray.stage import ModelStage, RowStage
from oasis_ray.watch import WORKERS, Watch
from stages import categorize, clean, respond, score
from tests import scripts
from tests.conftest import Near, picture


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


TEXT = {"text": Ref("source", "text")}
Make = Callable[..., Segment]


def runner(
    script: Callable[[Call], Any], stage: Any, name: str = "n", inputs: Any = TEXT, route: Route = Route.MAIN
) -> NodeRunner:
    node = Node(name, stage, "llm", route, inputs)
    return NodeRunner(node, ScriptedEngine(script), f"digest of {name}", seed=7, priority=-3)


def row() -> Ended:
    return Ended("r", {}, None, None)


def test_a_node_asks_with_its_own_seeds_and_notes_every_request() -> None:
    calls, ended = [], row()

    def script(call: Call) -> Reply:
        calls.append(call)
        once = (Sample("a", tokens=2), Sample("b", "length", tokens=3))
        return Reply(once if "once" in call.request.text else (Sample("c", "length", 4),), 9, 5, "e1", 0.25)

    assert asyncio.run(runner(script, Twice()).run(ended, {"text": "ask"})) == Text("a / c")
    first, second = seed(7, "r", "n", 0), seed(7, "r", "n", 1)
    assert calls == [Call(Request("ask once"), "r", first, -3), Call(Request("ask twice"), "r", second, -3)]
    common = {"node": "n", "digest": "digest of n", "prompt_tokens": 9, "cached_tokens": 5}
    common |= {"engine": "e1", "engine_seconds": 0.25}
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
    assert asyncio.run(refused.run(row(), {"text": "x"})) == Divert(Route.FAILED, "prompt_over_context", "9000 tokens")


@pytest.mark.parametrize("stage", [categorize.Categorize(prompt=Prompt("p", "{{text}}")), clean.Clean()])
def test_a_text_that_the_input_lacks_fails_its_row_and_asks_nothing(stage: Any) -> None:
    result = asyncio.run(runner(raises(OSError("was asked")), stage).run(row(), {"text": None}))
    assert (type(result), result.route) == (Divert, Route.FAILED)


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
        asyncio.run(node.run(row(), {"text": text}))
    assert str(error.value) == expected


@pytest.fixture
def segment(job_file: Callable[..., Path], tmp_path: Path) -> Make:
    """The shipped recipe with a script in place of both models."""

    def make(share: float = 0.0, script: Callable[[Call], Any] = scripts.oasis, watch: Any = None) -> Segment:
        given = {"path": "x", "id": "id", "root": str(tmp_path)}
        job, recipe = load_job(job_file(score_in_full=share, input=given), SHIPPED)
        pools = {name: ScriptedEngine(script) for name in job.pools}
        return Segment(job, recipe, pools, {node.name: node.name for node in recipe.nodes}, watch)

    return make


def given(name: str, image: Any = None) -> dict[str, Any]:
    whole = {"bytes": picture(), "path": None}
    return {"id": name, "source": {"file": "s", "row_group": 0, "row": 0}, "image": whole if image is None else image}


ENDS = {
    "good": (Route.MAIN, None, None),
    "caption": (Route.CAPTION, "categorize", "caption"),
    "poor-caption": (Route.REJECTED, "caption_language", "score_2"),
    "garbled": (Route.REJECTED, "nonsense", "score_1"),
    "garbled-mute": (Route.REJECTED, "nonsense", "score_1"),
    "unclear-impossible": (Route.REJECTED, "solvability", "score_1"),
    "middling": (Route.REJECTED, "gate", "solvability_clarity_below_7"),
    "mute": (Route.FAILED, "clarity", "no_verdict"),
    "unreadable": (Route.FAILED, "categorize", "no_kind"),
    "long": (Route.FAILED, "respond", "prompt_over_context"),
}


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("name", ENDS)
def test_a_row_ends_the_same_whether_it_is_scored_in_full_or_not(name: str, share: float, segment: Make) -> None:
    ended = asyncio.run(segment(share).carry(given(name)))
    assert (ended.route, ended.node, ended.reason) == ENDS[name]


AXES = ["nonsense", "hallucination", "solvability", "clarity"]


@pytest.mark.parametrize(
    ("name", "share", "axes", "in_full"),
    [
        ("garbled", 0.0, ["nonsense"], False),
        ("garbled", 1.0, AXES, True),
        ("garbled-mute", 1.0, AXES[:3], True),
        ("unclear", 0.0, AXES, False),
        ("good", 1.0, AXES, True),
        ("unreadable", 1.0, [], False),
    ],
)
def test_a_row_in_full_is_judged_past_its_rejection_and_no_further(
    name: str, share: float, axes: list[str], in_full: bool, segment: Make
) -> None:
    ended = asyncio.run(segment(share).carry(given(name)))
    assert [axis for axis in ended.values if axis in AXES] == axes
    assert (ended.in_full, "respond" in ended.values) == (in_full, name == "good")


def test_a_node_of_another_route_does_not_end_the_judging() -> None:
    def says(reply: str) -> Callable[[Call], Reply]:
        return lambda call: Reply.of(reply)

    judge = score.Score(prompt=Prompt("p", "{{instruction}}"), accept=(5,))
    inputs = {"instruction": Ref("source", "text")}
    runners = [
        runner(says("[[1]]"), judge, "first", inputs),
        runner(says("x"), clean.Clean(), "tidy", TEXT, Route.CAPTION),
        runner(says("[[2]]"), judge, "second", inputs),
        runner(says("x"), respond.Respond(), "answer", inputs),
    ]
    ended = row()
    asyncio.run(walk(ended, {"text": "What?"}, runners, in_full=True))
    assert ended.values == {"first": score.Out(1, "[[1]]"), "second": score.Out(2, "[[2]]")}
    assert (ended.route, ended.node, ended.reason) == (Route.REJECTED, "first", "score_1")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"bytes": None, "path": None}, "image_missing"),
        ({"bytes": picture()[:-60], "path": None}, "image_truncated"),
        ({"bytes": None, "path": "../a.png"}, "image_path"),
        ({"bytes": None, "path": "none.png"}, "image_missing"),
        ({"bytes": None, "path": "x" * 300}, "image_missing"),
    ],
)
def test_a_row_without_a_good_image_fails_at_admission(image: Any, reason: str, segment: Make) -> None:
    ended = asyncio.run(segment().carry(given("r", image)))
    assert (ended.route, ended.node, ended.reason) == (Route.FAILED, "admit", reason)
    assert (ended.image, ended.values) == (image, {})


def test_a_packet_goes_out_in_the_order_in_which_it_came(segment: Make) -> None:
    async def slow_first(call: Call) -> Reply:
        await asyncio.sleep(0.02 if call.row == "a" else 0)
        return scripts.oasis(call)

    async def out() -> list[pa.Table]:
        batch = pa.table({"rows": [[given("a"), given("b")], [given("c")]]})
        return [table async for table in segment(0.0, slow_first, Near(Watch()))(batch)]

    packets = asyncio.run(out())
    assert [[row["id"] for row in packet["accepted"].to_pylist()[0]] for packet in packets] == [["a", "b"], ["c"]]


def carried(segment: Segment, *packets: list[str]) -> list[dict[str, list[str]]]:
    """The ids by fate of what comes out for packets of rows that go in."""

    async def out() -> list[pa.Table]:
        batch = pa.table({"rows": [[given(name) for name in packet] for packet in packets]})
        return [table async for table in segment(batch)]

    return [
        {
            fate: [row["id"] for row in packet[fate].to_pylist()[0]]
            for fate in packet.column_names
            if packet[fate].to_pylist()[0]
        }
        for packet in asyncio.run(out())
    ]


def test_a_row_that_loses_every_engine_is_poison_and_those_beside_it_are_not(segment: Make) -> None:
    asked = Counter[str]()

    def dies(call: Call) -> Reply:
        """An engine that goes down when `bad` is asked about, twice with everything that was in flight."""
        if call.request.text.startswith("You sort texts"):
            asked[call.row] += 1
            if call.row == "bad" or asked[call.row] <= 2:
                raise EngineLostError("it fell over")
        return scripts.oasis(call)

    watch = Watch()
    assert carried(segment(0.0, dies, Near(watch)), ["a", "bad", "b"]) == [{"accepted": ["a", "b"], "failed": ["bad"]}]
    assert [(key[1:], rows) for key, rows in watch.view().tally.reasons.items()] == [(("categorize", "poison"), 1)]
    assert asked == {"a": 3, "bad": 4, "b": 3}


def test_a_row_that_ends_every_worker_is_tried_alone_and_then_given_up(segment: Make) -> None:
    watch = Watch()
    suspects = [watch.begin(["a", "bad"]) for _ in range(3)]  # a worker ended twice, with both
    assert suspects == [[], [], ["a", "bad"]]
    watch.cleared(WORKERS, "a")
    assert watch.verdict(WORKERS, "bad") == "trial"
    watch.begin(["bad"])
    assert watch.verdict(WORKERS, "bad") == "trial"
    assert carried(segment(0.0, scripts.oasis, Near(watch)), ["a", "bad"]) == [{"accepted": ["a"], "failed": ["bad"]}]


def test_rows_for_which_the_machinery_failed_have_not_ended(segment: Make) -> None:
    def script(call: Call) -> Reply:
        return scripts.broken(call) if call.row == "b" else scripts.oasis(call)

    watch = Watch()
    assert carried(segment(0.0, script, Near(watch)), ["a", "b"], ["c"]) == [{"accepted": ["a"]}, {"accepted": ["c"]}]
    assert watch.view().errors == ["node 'hook', row 'b': OSError: the cable is out"]


def test_no_row_is_begun_once_the_run_drains(segment: Make) -> None:
    watch = Watch()
    watch.drain()
    assert carried(segment(0.0, scripts.oasis, Near(watch)), ["a"], ["b"]) == [{}, {}]
    assert watch.view().begun == 0


@pytest.mark.parametrize(
    ("said", "kept"), [("a\ud83d", "a\ufffd"), ("\ud83d\ude00", "😀"), ("\ufeffa\0", "\ufeffa\0"), ("", "")]
)
def test_half_a_character_in_a_reply_becomes_a_sign_that_can_be_written(said: str, kept: str) -> None:
    assert Reply.of(said).text == kept
