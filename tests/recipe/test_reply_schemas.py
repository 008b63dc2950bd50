"""A schema in a recipe: it is checked at load, replies reach later nodes as its JSON, and it is part of the digest."""

import asyncio
import json
from pathlib import Path

import pytest
import yaml

from oasis_ray.cli import SHIPPED
from oasis_ray.engine.scripted import ScriptedEngine
from oasis_ray.errors import JobError
from oasis_ray.pipeline.node import NodeRunner
from oasis_ray.pipeline.walk import walk
from oasis_ray.recipe.binding import bind
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.recipe.row import Row
from oasis_ray.recipe.source import source_type
from oasis_ray.recipe.spec import RecipeSpec
from oasis_ray.types import FAILED, Call, Reply
from tests.support.checkout import ROOT

PAGE = (ROOT / "docs/recipe.md").read_text(encoding="utf-8")
SHOWN = yaml.safe_load(PAGE.split("### JSON replies")[1].split("```yaml\n")[1].split("```")[0])["nodes"]
PAIRS = f" {json.dumps(SHOWN[0]['with']['schema'])}"  # for `qa_pairs` with `form: json`
RECIPE = """
name: pairs
nodes:
  - name: ask
    stage: generate
    pool: llm
    inputs: {topic: source.topic}
    with:
      prompt: ask
      schema:SCHEMA
  - {name: pairs, stage: qa_pairs, inputs: {text: ask.text}, with: {form: json}}
  - {name: talk, stage: conversation, inputs: {questions: pairs.questions, answers: pairs.answers}}
records:
  accepted: {data_source: pairs, conversation: talk.turns}
"""


def bound(folder: Path, schema: str = PAIRS) -> Recipe:
    (folder / "ask.txt").write_text("Ask about {{topic}}.")
    return bind(
        RecipeSpec.model_validate(yaml.safe_load(RECIPE.replace("SCHEMA", schema))),
        where="r.yaml",
        stages=SHIPPED.stages,
        prompts=[folder],
        pools=["llm"],
        source={"topic": source_type("text")},
    )


def end_of(recipe: Recipe, reply: str) -> tuple[Row, list[Call]]:
    """Return a row after its walk, and the calls that it made; every call gets this reply."""
    asked: list[Call] = []

    def script(call: Call) -> Reply:
        asked.append(call)
        return Reply.of(reply)

    engine = ScriptedEngine(script)
    runners = [NodeRunner(node, engine if node.pool else None, "", 0, 0) for node in recipe.nodes]
    row = Row("r", {}, None, None, source={"topic": "boats"})
    asyncio.run(walk(row, runners, in_full=False))
    return row, asked


def test_a_reply_of_the_schema_on_the_page_is_read_by_qa_pairs(tmp_path: Path) -> None:
    recipe = bound(tmp_path)
    row, (call,) = end_of(recipe, '[{"question": "Which?", "answer": "Two."}]')
    assert (row.values["pairs"].questions, row.values["pairs"].answers) == (["Which?"], ["Two."])
    assert json.loads(call.request.schema) == SHOWN[0]["with"]["schema"]
    assert list(json.loads(call.request.schema)["items"]["properties"]) == ["question", "answer"]


def test_a_reply_that_is_not_of_the_schema_fails_at_the_node(tmp_path: Path) -> None:
    row, _ = end_of(bound(tmp_path), '[{"question": "Which?"}]')
    assert (row.route, row.node, row.reason) == (FAILED, "ask", "not_of_schema")


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        (" {type: objekt}", "schema: type: there is no type 'objekt' "),
        (" {type: array, item: {type: string}}", "schema: item: engines guide no reply by this keyword "),
        (" {type: string, pattern: '('}", "schema: pattern: '(' is not a 'regex'"),
        (" qa_pairs", "schema: give the JSON schema as a mapping, such as {type: object, …}, not 'qa_pairs'"),
        (" {type: string}\n      keep_truncated: true", "with a `schema` the text is JSON, and with `keep_truncated` "),
    ],
)
def test_a_schema_is_checked_when_the_recipe_is_loaded(schema: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(JobError) as error:
        bound(tmp_path, schema)
    (told,) = error.value.problems
    assert told.removeprefix("r.yaml, node 'ask', with").lstrip(": ")[: len(problem)] == problem


def digest(folder: Path, schema: str) -> str:
    return bound(folder, schema).nodes[0].digest("m")


def test_a_schema_is_part_of_the_digest_and_so_is_the_order_of_its_properties(tmp_path: Path) -> None:
    none = digest(tmp_path, "")
    one, other = " {properties: {a: {}, b: {}}}", " {properties: {b: {}, a: {}}}"
    assert bound(tmp_path, "").nodes[0].given.keys() == {"prompt"}
    assert bound(tmp_path, one).nodes[0].given["schema"] == '{"properties": {"a": {}, "b": {}}}'
    assert len({none, digest(tmp_path, one), digest(tmp_path, other)}) == 3
    assert digest(tmp_path, one) == digest(tmp_path, one)
