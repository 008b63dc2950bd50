"""A recipe with routes and records of its own makes the same rows in phases as at once, whatever the phases are."""

import random
from collections.abc import Callable, Collection, Sequence
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.input.columns import IMAGE
from oasis_ray.output.schema import TURN
from oasis_ray.recipe.recipe import Node, Recipe
from oasis_ray.recipe.routes import certain
from oasis_ray.run.phases import Phase, cut
from oasis_ray.stage import Stage
from oasis_ray.types import MAIN, Call, Reply
from tests.support.jobs import write_job
from tests.support.phase_table import Table
from tests.support.shards import picture

Fits = Callable[[Collection[str]], bool]
PROMPTS = {
    "sort": "Sort: {{text}}", "grade": "Grade: {{text}}", "mend": "Mend: {{text}}", "kind": "Kind: {{text}}",
    "reply": "Reply: {{text}}", "check": "Check: {{text}} / {{reply}}", "note": "Note: {{text}}",
}  # fmt: skip
# Rows come to `asked` in three ways: by `to`, by an exit of `back`, and after both. Some go from there to `aside`.
RECIPE = """
name: mended
source: {image: optional image, topic: text, talk: conversation}
nodes:
  - {name: known, stage: turns_to_qa, inputs: {turns: source.talk}}
  - {name: sort, stage: categorize, pool: %s, inputs: {text: source.topic}, exits: {caption: aside}, to: asked, with: {prompt: sort}}
  - {name: grade, stage: score, route: asked, pool: %s, inputs: {text: sort.instruction}, exits: {near_miss: aside}, with: {prompt: grade, accept: [3, 4, 5], near_miss: [2]}}
  - {name: total, stage: gate, route: asked, inputs: {scores: {grade: grade.score}}, with: {at_least: {grade: 4}}}
  - {name: mend, stage: generate, route: aside, pool: %s, inputs: {text: source.topic, image: source.image}, with: {prompt: mend}}
  - {name: kind, stage: classify, route: aside, pool: %s, inputs: {text: mend.text}, with: {prompt: kind, choices: [fine, odd, lost], accept: [fine, odd]}}
  - {name: back, stage: branch, route: aside, inputs: {choice: kind.choice}, with: {routes: {fine: asked}}}
  - {name: reply, stage: generate, route: asked, pool: %s, to: main, inputs: {text: [mend.text, sort.instruction], image: source.image}, with: {prompt: reply}}
  - {name: talk, stage: conversation, inputs: {questions: known.questions, answers: known.answers}}
  - {name: check, stage: score, pool: %s, inputs: {text: [mend.text, sort.instruction], reply: reply.text}, exits: {near_miss: doubtful}, with: {prompt: check, accept: [3, 4, 5], near_miss: [2]}}
  - {name: note, stage: generate, route: aside, pool: %s, inputs: {text: mend.text}, with: {prompt: note}}
records:
  accepted: {data_source: mended, instruction: [mend.text, sort.instruction], response: reply.text, scores: {first: [total.total, check.score], check: check.score}, columns: {asked: known.questions, talk: talk.turns}}
  doubtful: {route: doubtful, data_source: doubtful, conversation: talk.turns}
  notes: {route: aside, data_source: notes, instruction: source.topic, response: note.text, columns: {kind: back.choice}}
"""  # noqa: E501
SCORES = ("Bad. [[1]]", *["Nearly. [[2]]"] * 4, "So so. [[3]]", *["Good. [[5]]"] * 6, "I can't say.")
REPLIES = {
    "Sort": (*["Kind: caption"] * 3, *["Kind: instruction\nInstruction: What is it?"] * 5, "Unclear."),
    "Grade": SCORES,
    "Kind": (*["[[fine]]"] * 4, *["[[odd]]"] * 2, "[[lost]]", "Unclear."),
    "Check": SCORES,
}
ROWS = [f"row {number}" for number in range(60)]


def script(call: Call) -> Reply:
    """Any of the replies, by the row; a text that is generated repeats all that the model got."""
    asked = call.request.text.partition(":")[0]
    drawn = sha256(f"{call.row} {asked}".encode()).digest()[0]
    if asked in REPLIES:
        return Reply.of(REPLIES[asked][drawn % len(REPLIES[asked])])
    if drawn % 16 == 0:
        return Reply.of("")
    return Reply.of(f"{call.request.text} ({len(call.request.images)} images, seed {call.seed})")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with prompts and a shard of rows: some without an image, one with half of one, one without a topic."""
    folder = tmp_path_factory.mktemp("rows")
    half = {"bytes": picture()[:-60], "path": None}
    images = [None if number % 3 == 0 else {"bytes": picture(), "path": None} for number in range(len(ROWS))]
    talk = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A robin."}]
    columns = {
        "id": pa.array(ROWS),
        "image": pa.array([half, *images[1:]], IMAGE),
        "topic": pa.array([None if name == "row 7" else f"topic of {name}" for name in ROWS], pa.string()),
        "talk": pa.array([talk * (1 + number % 3) for number in range(len(ROWS))], pa.list_(TURN)),
    }
    (folder / "shards").mkdir()
    pq.write_table(pa.table(columns), folder / "shards/a.parquet", row_group_size=20)
    (folder / "prompts").mkdir()
    for name, text in PROMPTS.items():
        (folder / f"prompts/{name}.txt").write_text(text)
    return folder


def table(folder: Path, name: str, pools: Sequence[str], fits: Fits) -> Table:
    """A job whose run folder has this name; `pools` are those of the nodes that ask a model, in their order."""
    recipe = folder / f"{name}.yaml"
    recipe.write_text(RECIPE % tuple(pools))
    pool = {"backend": "scripted", "model": "script", "script": "tests.support.scripts:oasis", "device": "cpu"}
    job = write_job(
        folder,
        recipe=str(recipe),
        prompts=str(folder / "prompts"),
        output={"path": str(folder / name)},
        pools=dict.fromkeys(sorted({*pools}), pool),
        score_in_full=0.5,
        rows_per_task=10,
    )
    return Table(job, fits, script)


@pytest.fixture(scope="module")
def at_once(folder: Path) -> Table:
    """The job after a run that has all pools up."""
    made = table(folder, "once", "aaaaaaa", lambda _: True)
    made.carry(1)
    return made


def test_the_rows_take_all_ways(at_once: Table) -> None:
    ways = {
        outcome: {" ".join(f"{move['node']}>{move['route']}" for move in row["moves"]) for row in rows}
        for outcome, rows in at_once.rows().items()
    }
    back = {"sort>asked", "sort>aside back>asked", "sort>asked grade>aside back>asked"}
    assert ways["accepted"] == {f"{way} reply>main" for way in back}  # `to` of `sort` and of `reply`
    assert ways["doubtful"] == {f"{way} reply>main check>doubtful" for way in back}
    assert ways["notes"] == {"sort>aside", "sort>asked grade>aside"}
    assert {"", "sort>asked", "sort>aside", "sort>asked grade>aside"} <= ways["rejected"] | ways["failed"]
    assert {row["scored_in_full"] for row in at_once.rows()["accepted"]} == {True, False}


FITS: dict[str, Fits] = {
    "one at a time": lambda pools: len(pools) == 1,
    "two at a time": lambda pools: len(pools) < 3,
    "not a and b": lambda pools: not {"a", "b"} <= {*pools},
}


@pytest.mark.parametrize("fits", FITS)
@pytest.mark.parametrize("pools", ["abcabca", "cbacbac", "cabbcaa", "bacacab"])
def test_routes_that_part_and_join_make_the_same_rows_in_phases(
    pools: str, fits: str, folder: Path, at_once: Table
) -> None:
    in_phases = table(folder, f"{pools} {fits}", pools, FITS[fits])
    assert len(in_phases.phases) > 1
    for phase in in_phases.phases:
        in_phases.carry(phase.number)
    assert in_phases.rows() == at_once.rows()
    assert sorted(row for _, row in in_phases.calls) == sorted(row for _, row in at_once.calls)


def drawn(rng: random.Random) -> Recipe:
    """A recipe of up to ten nodes on up to four routes, with exits and `to` at random."""
    nodes: list[Node] = []
    for place in range(rng.randint(3, 10)):
        route = rng.choice(sorted(certain(nodes, ())))
        others = [name for name in (MAIN, "x", "y", "z") if name != route]
        exits = {name: name for name in rng.sample(others, rng.choice([0, 0, 1, 2]))}
        to = rng.choice(others) if rng.random() < 0.3 else None
        nodes.append(Node(f"n{place}", "stage", Stage(), rng.choice(["a", "b", "c", None]), route, {}, exits, to))
    return Recipe("drawn", tuple(nodes), {})


def stuck(recipe: Recipe, phases: Sequence[Phase]) -> list[str]:
    """The nodes at which some row waits for a phase that is over."""
    due = {name: phase.number for phase in phases for name in phase.nodes}
    rows, seen, found = [(MAIN, 0, 1)], set(), []
    while rows:
        route, place, number = row = rows.pop()
        if row in seen or place == len(recipe.nodes):
            continue
        seen.add(row)
        node = recipe.nodes[place]
        if node.route != route:
            rows.append((route, place + 1, number))
        elif node.pool is None or node.pool in phases[number - 1].pools:
            rows += [(name, place + 1, number) for name in (node.to or route, *node.exits)]
        elif due[node.name] > number:
            rows.append((route, place, due[node.name]))
        else:
            found.append(f"{node.name} in phase {number}")
    return found


@pytest.mark.parametrize("fits", FITS)
def test_no_row_waits_for_a_phase_that_is_over_whatever_the_routes_are(fits: str) -> None:
    recipes = [drawn(random.Random(number)) for number in range(200)]
    phases = [cut(recipe, {node.pool for node in recipe.nodes if node.pool}, FITS[fits]) for recipe in recipes]
    assert [found for each in zip(recipes, phases, strict=True) if (found := stuck(*each))] == []
    assert max(map(len, phases)) > (2 if fits == "not a and b" else 1)
