"""Phases: what order the pools of a recipe are loaded in, and that a run in phases makes the rows of one without."""

import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import FitError
from oasis_ray.input.reader import states
from oasis_ray.input.shards import RowGroup, Shards
from oasis_ray.job.load import load_job
from oasis_ray.output.checkpoint import EMPTY
from oasis_ray.output.part_writer import write_part
from oasis_ray.output.repair import repair
from oasis_ray.recipe.recipe import Node, Recipe
from oasis_ray.run.phases import cut, due
from oasis_ray.stage import Stage
from oasis_ray.types import MAIN, Call, Reply
from tests.support import scripts
from tests.support.jobs import ENDS
from tests.support.phase_table import Table, alone
from tests.support.shards import picture, shard

JobFile = Callable[..., Path]


class Keeps(Stage):
    """A stage that sends no row to another route."""


def exits(word: str) -> dict[str, str]:
    return {"caption": "caption"} if ">" in word else {}


def recipe(text: str) -> Recipe:
    """`v l> | -c v`: pools of the main route's nodes (`-` none, `>` diverts), then of the caption route's."""
    main, _, captions = text.partition("|")
    nodes = [
        Node(f"{word.strip('>')}{place}", "stage", Keeps(), _pool(word), MAIN, {}, exits(word))
        for place, word in enumerate(main.split())
    ]
    nodes += [
        Node(f"{word}{place}c", "stage", Keeps(), _pool(word), "caption", {})
        for place, word in enumerate(captions.split())
    ]
    return Recipe("made", tuple(nodes), {})


def _pool(word: str) -> str | None:
    return word.strip(">-") or None


@pytest.mark.parametrize(
    ("nodes", "fits", "phases"),
    [
        # One pool at a time.
        ("v", alone, ["v: v0"]),
        ("v v", alone, ["v: v0 v1"]),
        ("- v - l -", alone, ["v: -0 v1 -2", "l: l3 -4"]),
        ("v l v", alone, ["v: v0", "l: l1", "v: v2"]),
        # What a route has for a pool that is up goes with it, wherever it stands in the recipe.
        ("v l> l v - v | - l l - v", alone, ["v: v0", "l: l1 l2 -0c l1c l2c -3c", "v: v3 -4 v5 v4c"]),
        ("v l> v | v l", alone, ["v: v0", "l: l1", "v: v2 v0c", "l: l1c"]),
        # Following the main route first would load l twice.
        ("v> l | w l", alone, ["v: v0", "w: w0c", "l: l1 l1c"]),
        # A node that rows reach from two places is done when all of them can have come.
        ("v> l v> | l", alone, ["v: v0", "l: l1", "v: v2", "l: l0c"]),
        # Pools that fit together are up together, and stay up while they are wanted.
        ("v l v", lambda _: True, ["l v: v0 l1 v2"]),
        ("v l w v", lambda pools: not {"l", "w"} <= set(pools), ["l v: v0 l1", "v w: w2 v3"]),
        ("a v b l", lambda pools: "l" not in pools or len(pools) == 1, ["a b v: a0 v1 b2", "l: l3"]),
        # One that is wanted again later stays up beside others, rather than to be loaded twice.
        ("a b c d a", lambda pools: len(pools) < 3, ["a b: a0 b1", "a c: c2", "a d: d3 a4"]),
        # Nothing to load.
        ("- -", alone, [": -0 -1"]),
        ("", alone, [": "]),
    ],
)
def test_a_recipe_is_cut_with_the_fewest_loads(
    nodes: str, fits: Callable[[Collection[str]], bool], phases: list[str]
) -> None:
    made = recipe(nodes)
    pools = {node.pool for node in made.nodes if node.pool}
    assert [f"{' '.join(sorted(phase.pools))}: {' '.join(phase.nodes)}" for phase in cut(made, pools, fits)] == phases


def test_a_pool_that_takes_no_room_is_up_in_each_phase_that_asks_it() -> None:
    found = cut(recipe("v s l s v"), ["v", "l", "s"], lambda pools: not {"v", "l"} <= set(pools), free=["s"])
    assert [sorted(phase.pools) for phase in found] == [["s", "v"], ["l", "s"], ["v"]]
    assert cut(recipe("s v"), ["s", "v"], lambda _: True, free=["s"])[0].nodes == ("s0", "v1")


def test_the_shipped_recipe_takes_three_loads(job_file: JobFile) -> None:
    job, shipped = load_job(job_file(), SHIPPED)
    found = cut(shipped, job.pools, alone)
    assert list(map(str, found)) == ["phase 1 of 3: vlm", "phase 2 of 3: llm", "phase 3 of 3: vlm"]
    assert [name for phase in found for name in phase.nodes if name in ("hook", "pair", "respond")] == [
        "hook", "pair", "respond",
    ]  # fmt: skip


def test_every_response_filter_and_the_caption_judge_that_sees_fit_into_the_same_three(job_file: JobFile) -> None:
    names = ("helpful", "truthful", "following", "caption_truth")
    job, shipped = load_job(job_file(nodes={name: {"enabled": True} for name in names}), SHIPPED)
    found = cut(shipped, job.pools, alone)
    assert [sorted(phase.pools) for phase in found] == [["vlm"], ["llm"], ["vlm"], ["llm"]][: len(found)]
    assert sum(len(phase.nodes) for phase in found) == len(shipped.nodes)


def test_pools_of_which_one_fits_nowhere_have_no_phases() -> None:
    with pytest.raises(
        FitError, match=r"the pools l, v can't be loaded in any order that lets every row reach an outcome"
    ):
        cut(recipe("v l"), ["v", "l"], lambda pools: set(pools) == {"v"})


def shards(*groups: list[str], todo: list[int] | None = None) -> Shards:
    """One row group for each list of ids; of the first only `todo` is to be done."""
    left = [None if todo is None else pa.array(todo, pa.int64()), *[None] * len(groups)]
    made = (RowGroup("f", "f", at, pa.array(ids), left[at]) for at, ids in enumerate(groups))
    return Shards(None, tuple(made), None)  # type: ignore[arg-type]  # no input is read


def table_of(*rows: tuple[str, int, str]) -> pa.Table:
    """Rows that wait: id, number of the node, part."""
    made = pa.table(list(zip(*rows, strict=True)), names=["id", "place", "part"]).cast(EMPTY.schema)
    return made.sort_by([("place", "descending")])


@pytest.mark.parametrize(
    ("phase", "rows"),
    [
        (1, [(0, [1], ()), (1, [1], ())]),
        (2, [(0, [0], ("p2",)), (1, [0], ("p2b",))]),
        (3, [(0, [2], ("p3",))]),
    ],
)
def test_a_row_goes_on_in_the_phase_of_the_node_it_waits_at_furthest(
    phase: int, rows: list[tuple[int, list[int], tuple[str, ...]]]
) -> None:
    made = recipe("v l v")
    given = shards(["a", "b", "c", "ended"], ["d", "e"], todo=[0, 1, 2])
    wait = table_of(("a", 1, "p2"), ("c", 1, "p2"), ("c", 2, "p3"), ("d", 1, "p2b"), ("ended", 1, "p2"))
    found = due(given, wait, made, cut(made, ["v", "l"], alone)[phase - 1])
    assert [(group.index, group.todo.to_pylist(), group.states) for group in found.groups] == rows


def test_where_nothing_waits_all_begins_in_phase_one() -> None:
    made, given = recipe("v l"), shards(["a"], ["b"])
    first, second = cut(made, ["v", "l"], alone)
    assert (due(given, EMPTY, made, first), due(given, EMPTY, made, second).groups) == (given, ())


KINDS = {
    "good", "good-2", "caption", "poor-caption", "unclear", "impossible", "invented", "garbled", "garbled-mute",
    "unclear-impossible", "middling", "mute", "unreadable", "long", "broken",
}  # fmt: skip


def reply(call: Call) -> Reply:
    """The whole recipe, and the judge of captions that sees the image."""
    if "You judge a description of the picture above" in call.request.text:
        return Reply.of("True. [[5]]")
    return scripts.oasis(call)


@pytest.fixture
def table(tmp_path: Path, job_file: JobFile) -> Callable[..., Table]:
    """A table of rows of every kind; `name` is its run folder's."""
    rows = [{"id": name, "bytes": picture(), "path": f"{name}.png"} for name in sorted(KINDS)]
    broken = next(row for row in rows if row["id"] == "broken")
    broken["bytes"] = broken["bytes"][:-60]
    shard(tmp_path / "shards/a.parquet", rows[:7])
    shard(tmp_path / "shards/b.parquet", rows[7:])

    def make(name: str, fits: Callable[[Collection[str]], bool] = alone, **keys: Any) -> Table:
        return Table(job_file(output={"path": str(tmp_path / name)}, rows_per_task=3, **keys), fits, reply)

    return make


@pytest.mark.parametrize(
    ("share", "nodes"), [(0.0, {}), (0.5, {}), (1.0, {}), (0.5, {"caption_truth": {"enabled": True}})]
)
def test_rows_in_phases_are_the_rows_without(share: float, nodes: dict[str, Any], table: Callable[..., Table]) -> None:
    at_once = table("once", lambda _: True, score_in_full=share, nodes=nodes)
    in_phases = table("phases", score_in_full=share, nodes=nodes)
    at_once.carry(1)
    told = [in_phases.carry(phase.number) for phase in in_phases.phases]
    assert in_phases.rows() == at_once.rows()
    assert sorted(in_phases.calls) == sorted(at_once.calls)
    assert {outcome: len(rows) for outcome, rows in at_once.rows().items() if rows}.keys() == set(ENDS)
    assert all(rows == ended + waits for phase in told for rows, ended, waits in phase)
    assert {pool for pool, _ in in_phases.calls[: len(KINDS) - 1]} == {"vlm"}


def test_rows_go_on_from_where_they_are_whatever_was_lost_and_however_it_is_cut(table: Callable[..., Table]) -> None:
    at_once, killed = table("once", lambda _: True, score_in_full=0.5), table("killed", score_in_full=0.5)
    at_once.carry(1)
    killed.carry(1)
    killed.carry(2)
    lost = ["phases/2/part-s-1-000003", "phases/3/part-s-2-000001", "captions/part-s-2-000001"]
    for name in lost:  # what was never written: some rows are to begin again, some wait for phase 2
        (killed.folder / f"{name}.parquet").unlink(missing_ok=True)
    broken = killed.folder / "phases/3/part-s-2-000002.parquet"
    broken.write_bytes(broken.read_bytes()[:-9])
    assert [line.partition(" (")[0] for line in repair(str(killed.folder), tuple(ENDS))[1]] == [
        "quarantined an unreadable part"
    ]
    calls = len(killed.calls)
    further = {row["id"] for part in killed.folder.glob("phases/3/*") for row in pq.read_table(part).to_pylist()}
    killed.phases = cut(killed.recipe, killed.job.pools, lambda _: True)  # the cluster has grown
    killed.carry(1, "t")
    assert killed.rows() == at_once.rows()
    asked = {row for pool, row in killed.calls[calls:] if pool == "llm"}
    assert asked
    assert not asked & further  # though some of these stand in both folders


def test_of_a_row_that_stands_in_two_parts_the_further_state_is_read(tmp_path: Path) -> None:
    for name, place in (("part-a", 1), ("part-b", 7), ("part-c", 2)):
        write_part(pa.table({"id": ["r"], "place": [place], "at": [name]}), str(tmp_path), f"{name}.parquet")
    found = states([str(tmp_path / f"part-{name}.parquet") for name in "abc"])
    assert found.column("state")[0].as_py() == {"place": 7, "at": "part-b"}
    assert found.column("id").to_pylist() == ["r", "r", "r"]


def test_a_row_that_is_carried_again_by_two_sessions_waits_once(table: Callable[..., Table]) -> None:
    at_once, twice = table("once", lambda _: True), table("twice")
    at_once.carry(1)
    twice.carry(1, "s")
    for part in twice.folder.glob("phases/2/*"):  # a write task that outlived its driver
        shutil.copy(part, part.with_name(part.name.replace("part-s", "part-r")))
    twice.carry(2)
    twice.carry(3)
    assert twice.rows() == at_once.rows()


def test_a_picture_that_has_changed_between_two_phases_fails_its_row(table: Callable[..., Table]) -> None:
    made = table("run")
    made.carry(1)
    rows = pq.read_table(made.job.input.path + "/a.parquet").to_pylist()
    changed = rows[1]["id"]
    shard(Path(made.job.input.path) / "a.parquet", [
        {"id": row["id"], "bytes": picture("red") if row["id"] == changed else row["image"]["bytes"]} for row in rows
    ])  # fmt: skip
    made.carry(2)
    told = [(row["id"], row["node"], row["reason"]) for row in made.rows()["failed"]]
    assert [one for one in told if one[2] == "image_changed"] == [(changed, "admit", "image_changed")]


def test_texts_of_the_input_are_there_in_every_phase(tmp_path: Path, job_file: JobFile) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        """
name: texts
nodes:
  - {name: first, stage: categorize, pool: vlm, inputs: {text: source.said}, with: {prompt: categorize}}
  - {name: second, stage: categorize, pool: llm, inputs: {text: source.said}, with: {prompt: categorize}}
  - {name: clean, stage: clean, route: caption, inputs: {text: source.said}}
records:
  accepted: {data_source: texts, instruction: second.instruction, response: first.instruction}
  captions: {route: caption, data_source: texts, instruction: clean.text, response: clean.text}
"""
    )
    (tmp_path / "shards").mkdir()
    said = [f"text {at}" for at in range(9)]
    pq.write_table(pa.table({"id": said, "said": said, "from": said}), tmp_path / "shards/a.parquet", row_group_size=4)
    given = {"path": str(tmp_path / "shards"), "id": "id", "image": None, "columns": ["said"], "origin": "from"}
    made = Table(job_file(recipe=str(recipe), input=given, rows_per_task=3), alone, reply)
    made.carry(1)
    made.carry(2)
    rows = made.rows()["accepted"]
    assert [(row["id"], row["origin"], row["image"], [step["node"] for step in row["lineage"]]) for row in rows] == [
        (name, name, None, ["first", "second"]) for name in said
    ]
