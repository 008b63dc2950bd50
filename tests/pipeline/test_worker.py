"""A segment carries batches of rows, each to its end or to no end, and fills every place. The engine is a script."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.engine.scripted import ScriptedEngine
from oasis_ray.errors import EngineLostError
from oasis_ray.input.arrow_ipc import from_ipc, to_ipc
from oasis_ray.job.load import load_job
from oasis_ray.pipeline.coordinator import LocalCoordinator
from oasis_ray.pipeline.coordinator_state import WORKERS, CoordinatorState
from oasis_ray.pipeline.worker import RowWorker
from oasis_ray.types import FAILED, MAIN, REJECTED, Call, Reply
from tests.support import scripts
from tests.support.shards import picture

Make = Callable[..., RowWorker]


@pytest.fixture
def segment(job_file: Callable[..., Path], tmp_path: Path) -> Make:
    """The shipped recipe with a script in place of both models."""

    def make(
        share: float = 0.0, script: Callable[[Call], Any] = scripts.oasis, watch: Any = None, **keys: Any
    ) -> RowWorker:
        given = {"path": "x", "id": "id", "root": str(tmp_path)}
        # A job of Ray: it may have several workers and engines.
        job, recipe = load_job(job_file(score_in_full=share, input=given, executor="ray", **keys), SHIPPED)
        pools = {name: ScriptedEngine(script) for name in job.pools}
        return RowWorker(job, recipe, pools, {node.name: node.name for node in recipe.nodes}, watch)

    return make


def given(name: str, image: Any = None) -> dict[str, Any]:
    whole = {"bytes": picture(), "path": None}
    return {"id": name, "source": {"file": "s", "row_group": 0, "row": 0}, "image": whole if image is None else image}


ENDS = {
    "good": (MAIN, None, None),
    "caption": ("caption", None, None),
    "poor-caption": (REJECTED, "caption_language", "score_2"),
    "garbled": (REJECTED, "nonsense", "score_1"),
    "garbled-mute": (REJECTED, "nonsense", "score_1"),
    "unclear-impossible": (REJECTED, "solvability", "score_1"),
    "middling": (REJECTED, "gate", "solvability_clarity_below_7"),
    "mute": (FAILED, "clarity", "no_verdict"),
    "unreadable": (FAILED, "categorize", "no_kind"),
    "long": (FAILED, "respond", "prompt_over_context"),
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
    assert (ended.route, ended.node, ended.reason) == (FAILED, "admit", reason)
    assert (ended.image, ended.values) == (image, {})


def batch_of(*batches: list[dict[str, Any]]) -> pa.Table:
    """Batches of rows, as they come from the source."""
    return pa.concat_tables([to_ipc(pa.Table.from_pylist(rows)) for rows in batches])


def test_a_batch_goes_out_in_the_order_in_which_it_came(segment: Make) -> None:
    async def slow_first(call: Call) -> Reply:
        await asyncio.sleep(0.02 if call.row == "a" else 0)
        return scripts.oasis(call)

    async def out() -> list[pa.Table]:
        batch = batch_of([given("a"), given("b")], [given("c")])
        return [table async for table in segment(0.0, slow_first, LocalCoordinator(CoordinatorState()))(batch)]

    batches = [batch for table in asyncio.run(out()) for batch in from_ipc(table)]
    assert [[row["id"] for row in batch["accepted"].to_pylist()[0]] for batch in batches] == [["a", "b"], ["c"]]


def carried(segment: RowWorker, *batches: list[str]) -> list[dict[str, list[str]]]:
    """The ids by outcome of what comes out for batches of rows that go in."""

    async def out() -> list[pa.Table]:
        batch = batch_of(*([given(name) for name in batch] for batch in batches))
        return [table async for table in segment(batch)]

    return [
        {
            outcome: [row["id"] for row in batch[outcome].to_pylist()[0]]
            for outcome in batch.column_names
            if batch[outcome].to_pylist()[0]
        }
        for table in asyncio.run(out())
        for batch in from_ipc(table)
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

    watch = CoordinatorState()
    assert carried(segment(0.0, dies, LocalCoordinator(watch)), ["a", "bad", "b"]) == [
        {"accepted": ["a", "b"], "failed": ["bad"]}
    ]
    assert [(key[1:], rows) for key, rows in watch.view().counts.reasons.items()] == [(("categorize", "poison"), 1)]
    assert asked == {"a": 3, "bad": 4, "b": 3}


def test_a_row_that_ends_every_worker_is_tried_alone_and_then_given_up(segment: Make) -> None:
    watch = CoordinatorState()
    suspects = [watch.begin(["a", "bad"]) for _ in range(3)]  # a worker ended twice, with both
    assert suspects == [[], [], ["a", "bad"]]
    watch.cleared(WORKERS, "a")
    assert watch.verdict(WORKERS, "bad") == "trial"
    watch.begin(["bad"])
    assert watch.verdict(WORKERS, "bad") == "trial"
    assert carried(segment(0.0, scripts.oasis, LocalCoordinator(watch)), ["a", "bad"]) == [
        {"accepted": ["a"], "failed": ["bad"]}
    ]


def test_rows_for_which_the_machinery_failed_have_not_ended(segment: Make) -> None:
    def script(call: Call) -> Reply:
        return scripts.broken(call) if call.row == "b" else scripts.oasis(call)

    watch = CoordinatorState()
    assert carried(segment(0.0, script, LocalCoordinator(watch)), ["a", "b"], ["c"]) == [
        {"accepted": ["a"]},
        {"accepted": ["c"]},
    ]
    assert watch.view().errors == ["node 'hook', row 'b': OSError: the cable is out"]


def test_no_row_is_begun_once_the_run_drains(segment: Make) -> None:
    watch = CoordinatorState()
    watch.drain()
    assert carried(segment(0.0, scripts.oasis, LocalCoordinator(watch)), ["a"], ["b"]) == [{}, {}]
    assert watch.view().begun == 0


@pytest.mark.parametrize(("workers", "places"), [(1, 4), (2, 2), (8, 1)])
def test_a_place_that_a_row_leaves_goes_to_the_next_row_whatever_its_batch(
    workers: int, places: int, segment: Make
) -> None:
    flying, most, over = set[str](), Counter[str](), asyncio.Event()

    async def script(call: Call) -> Reply:
        flying.add(call.row)
        most[""] = max(most[""], len(flying))
        await asyncio.sleep(0)
        if call.row == "slow" and places > 1:
            await asyncio.wait_for(over.wait(), 20)  # as long as rows of other batches have not ended
        reply = scripts.oasis(call)
        if reply.text.startswith("The answer"):  # the last that is asked of a row
            flying.remove(call.row)
            if call.row == "last":
                over.set()
        return reply

    batches = [["slow", "b", "c", "d"], ["e", "f", "g", "h"], ["i", "last"]]
    watch = CoordinatorState()
    made = segment(0.0, script, LocalCoordinator(watch), rows_in_flight=4, workers=workers)

    async def out() -> list[list[pa.Table]]:
        async def one(batch: list[str]) -> list[pa.Table]:
            return [table async for table in made(batch_of([given(name) for name in batch]))]

        return await asyncio.gather(*(one(batch) for batch in batches))

    tables = asyncio.run(out())
    ended = [batch for (table,) in tables for batch in from_ipc(table)]
    assert [[row["id"] for row in batch["accepted"].to_pylist()[0]] for batch in ended] == batches
    assert (most[""], watch.view().begun, watch.view().errors) == (places, 10, [])
    assert 0 < watch.view().at_once <= places


@pytest.mark.parametrize(
    ("holds", "engines", "rows_in_flight", "workers", "places"),
    [
        (0, 1, 4, 1, 4),  # an engine that does not know what it holds
        (2, 1, 4, 1, 2),
        (2, [0, 3], 8, 1, 6),  # a pool that grows is counted as large as it may be: rows that wait make it grow
        (2, 4, 8, 2, 4),
        (9, 1, 4, 1, 4),
        (1, 1, 4, 8, 1),  # a worker has one at least
    ],
)
def test_there_are_no_more_places_than_pictures_that_the_caches_hold(
    holds: int, engines: Any, rows_in_flight: int, workers: int, places: int, segment: Make
) -> None:
    flying, seen = set[str](), list[int]()

    async def script(call: Call) -> Reply:
        flying.add(call.row)
        seen.append(len(flying))
        await asyncio.sleep(0)
        reply = scripts.oasis(call)
        if reply.text.startswith("The answer"):
            flying.remove(call.row)
        return replace(reply, holds=holds)

    pool = {"backend": "scripted", "model": "script", "script": "tests.support.scripts:oasis", "device": "cpu"}
    pools = {"vlm": pool | {"replicas": engines}, "llm": pool}
    watch = CoordinatorState()
    made = segment(0.0, script, LocalCoordinator(watch), rows_in_flight=rows_in_flight, workers=workers, pools=pools)
    names = [f"r{at}" for at in range(64)]
    assert (carried(made, names), watch.view().errors) == ([{"accepted": names}], [])
    begun = 2 * rows_in_flight  # rows that began before the first reply are not stopped
    assert max(seen[7 * begun :]) == places


def test_a_request_without_a_picture_bounds_nothing(segment: Make) -> None:
    def script(call: Call) -> Reply:
        return replace(scripts.oasis(call), holds=0 if call.request.images else 1)

    made = segment(0.0, script, LocalCoordinator(CoordinatorState()), rows_in_flight=4)
    carried(made, ["a", "b", "c"])
    assert made._limit.count == 4
