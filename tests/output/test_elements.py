"""Elements of lists through random drops and phases: none is lost, doubled or shifted to a neighbour."""

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.engine.scripted import ScriptedEngine
from oasis_ray.input.reader import states
from oasis_ray.output.counts import Counts, EndedRow
from oasis_ray.output.element_audit import PartElements, lists_of
from oasis_ray.output.part_writer import PartWriter, write_part
from oasis_ray.output.record import batch
from oasis_ray.output.row_state import elements, resume, state, waiting_columns
from oasis_ray.pipeline.node import NodeRunner
from oasis_ray.pipeline.walk import walk
from oasis_ray.recipe.binding import bind
from oasis_ray.recipe.recipe import Recipe, written
from oasis_ray.recipe.row import Row
from oasis_ray.recipe.source import source_type
from oasis_ray.recipe.spec import RecipeSpec
from oasis_ray.stage import FAILED, REJECTED, Divert, ModelStage, Reply, Request, Turn
from oasis_ray.text_files import read_yaml_text
from tests.support.records import PLACE

POOLS = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class In:
    text: str


@dataclass(frozen=True, slots=True)
class Out:
    text: str
    turns: list[Turn]
    note: str | None


class Step(ModelStage[In, Out]):
    """Adds a letter to its text, or drops it, with an output or without, as the reply says."""

    letter: str

    def requests(self, row: In) -> list[Request]:
        return [Request(f"{row.text}{self.letter}")]

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        text = replies[0].text
        out = Out(text, [Turn("human", text)], None if len(text) % 2 else text)
        if text.endswith("!"):
            return Divert(REJECTED, "exclaimed", text, out)
        return Divert(FAILED, "asked", text) if text.endswith("?") else out


RECIPE = """
name: steps
source: {texts: list of texts, text: text}
nodes:
  - {name: one, stage: step, pool: a, for_each: {text: source.texts}, with: {letter: u}}
  - {name: two, stage: step, pool: b, for_each: {text: one.text}, with: {letter: v}}
  - {name: other, stage: step, pool: a, inputs: {text: source.text}, with: {letter: o}}
  - {name: three, stage: step, pool: c, for_each: {text: two.text}, with: {letter: w}}
  - {name: four, stage: step, pool: a, for_each: {text: source.texts}, with: {letter: x}}
records:
  accepted:
    {data_source: steps, instruction: other.text, response: source.text, columns: {all: source.texts, three: three.text, four: four.text}}
"""  # noqa: E501


def recipe() -> Recipe:
    spec = RecipeSpec.model_validate(read_yaml_text(RECIPE, "r.yaml"))
    source = {name: source_type(kind) for name, kind in (spec.source or {}).items()}
    return bind(spec, where="r.yaml", stages={"step": Step}, prompts=[], pools=POOLS, source=source)


def described(bound: Recipe) -> dict[str, Any]:
    """What a manifest says of the lists of a recipe."""
    nodes = [{"name": node.name, "for_each": node.lists, "digest": "d"} for node in bound.nodes]
    columns = {name: written(refs) for name, refs in bound.records["accepted"].columns.items()}
    return {"nodes": nodes, "records": {"accepted": {"columns": columns}}, "earlier": []}


def reply_to(text: str, chance: int) -> str:
    """The reply to a text: it ends in ! or ? where it is dropped, by the text and a number alone."""
    return text + random.Random(f"{text} {chance}").choices(["", "!", "?"], [8, 1, 1])[0]


def expected(texts: list[str], chance: int) -> tuple[dict[str, list[str]], dict[str, list[tuple[int, str]]]]:
    """The texts that are left after each node, and the positions that it drops with their reasons, without any of our
    code: a dictionary from positions to texts loses a position at a time."""
    left, after, dropped = dict(enumerate(texts)), {}, {}
    said: dict[int, str] = dict(left)
    for name, letter in (("one", "u"), ("two", "v"), ("three", "w"), ("four", "x")):
        given = left if name == "four" else said
        said = {place: reply_to(given[place] + letter, chance) for place in left}
        dropped[name] = [
            (place, {"!": "exclaimed", "?": "asked"}[text[-1]]) for place, text in said.items() if text[-1] in "!?"
        ]
        left = {place: left[place] for place, text in said.items() if text[-1] not in "!?"}
        said = {place: said[place] for place in left}
        after[name] = [*said.values()]
        if not left:
            break
    return {**after, "all": [*left.values()]}, dropped


def resumed(row: Row, folder: Path, bound: Recipe) -> Row:
    """The row as the next phase has it: written to a part, and read again."""
    write_part(pa.Table.from_pylist([state(row, bound)], waiting_columns(bound)), str(folder), "part-1.parquet")
    fresh = Row(row.id, PLACE, None, None, source=row.source)
    resume(fresh, states([str(folder / "part-1.parquet")]).column("state")[0].as_py(), bound)
    return fresh


@pytest.mark.parametrize("number", range(60))
def test_every_element_ends_once_in_its_place(number: int, tmp_path: Path) -> None:
    chance, bound = random.Random(number), recipe()
    texts = [f"{place}" for place in range(chance.choice([0, 1, 2, 5, 12, 40]))]
    row = Row("r", PLACE, None, None, source={"texts": texts, "text": "t"})
    engine = ScriptedEngine(
        lambda call: Reply.of(reply_to(call.request.text, number) if call.request.text[0] != "t" else "t")
    )
    phases = 0
    while True:  # each phase has some pools up; a row that waits is written, and read again
        up = chance.sample(POOLS, chance.choice([1, 2, 3]))
        runners = [NodeRunner(n, engine if n.pool in up else None, "d", 7, 0) for n in bound.nodes]
        asyncio.run(walk(row, runners, in_full=False))
        if not row.waits:
            break
        row, phases = resumed(row, tmp_path, bound), phases + 1
    after, dropped = expected(texts, number)
    ended = after.get("four", []) != []
    assert (row.route == "main", row.route in ("rejected", "failed")) == (ended, not ended)
    found = {entry["node"]: [(drop["element"], drop["reason"]) for drop in entry["dropped"]] for entry in elements(row)}
    assert found == (dropped if texts else {})
    asked = sorted((step["node"], step["element"]) for step in row.lineage if step["element"] is not None)
    assert len(asked) == len(set(asked)) == sum(entry["count"] for entry in elements(row))

    writer = PartWriter(str(tmp_path / "run"), bound, session="s")
    writer.write([batch([row], bound, keep_images=False)], 0)
    (part,) = tmp_path.glob("run/*/part-*.parquet")
    (stored,) = pq.read_table(part).to_pylist()
    assert stored["elements"] == elements(row)
    audited = PartElements(part.parent.name, lists_of(described(bound)))
    for made in pq.read_table(part).to_batches():
        audited.add(made)
    assert audited.faults() == []
    if ended:
        assert stored["columns"] == {"all": after["all"], "three": _still(after, "three"), "four": after["four"]}
    counts = Counts()
    counts.add([EndedRow("accepted", None, None, row.lineage, row.moves, elements(row))])
    assert audited.counts.elements == counts.elements
    for name, places in dropped.items():
        reached = len(texts) if name == "one" else len(after[{"two": "one", "three": "two", "four": "three"}[name]])
        if texts:
            assert sum(many for (node, *_), many in counts.elements.items() if node == name) == reached
            assert counts.elements[name, "", ""] == reached - len(places)


def _still(after: dict[str, list[str]], name: str) -> list[str]:
    """The texts of a node without the elements that later nodes dropped."""
    return [text for text in after[name] if text.rstrip("uvw") in after["all"]]


def test_a_stage_gives_the_same_results_in_one_phase_and_in_many(tmp_path: Path) -> None:
    bound = recipe()
    engine = ScriptedEngine(lambda call: Reply.of(reply_to(call.request.text, 3)))
    source: dict[str, Any] = {"texts": [f"{place}" for place in range(30)], "text": "t"}
    ends = []
    for sets in ([POOLS], [["a"], ["b"], ["a"], ["c"], ["a"]]):
        row = Row("r", PLACE, None, None, source=source)
        for up in sets:
            asyncio.run(
                walk(
                    row,
                    [NodeRunner(n, engine if n.pool in up else None, "d", 7, 0) for n in bound.nodes],
                    in_full=False,
                )
            )
            row = resumed(row, tmp_path, bound) if row.waits else row
        ends.append(row)
    assert ends[0].values == ends[1].values
    assert [step["seed"] for step in ends[0].lineage] == [step["seed"] for step in ends[1].lineage]
