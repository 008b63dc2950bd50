"""The general stages in a recipe: their inputs are checked when it is loaded, and a row passes through all of them."""

import asyncio
from pathlib import Path

import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.engine.scripted import ScriptedEngine
from oasis_ray.errors import JobError
from oasis_ray.pipeline.node import NodeRunner, seed
from oasis_ray.pipeline.walk import walk
from oasis_ray.recipe.binding import bind
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.recipe.row import Row
from oasis_ray.recipe.source import source_type
from oasis_ray.recipe.spec import RecipeSpec
from oasis_ray.text_files import read_yaml_text
from oasis_ray.types import Call, Reply, Turn

PROMPTS = {
    "general/en": "Ask about {{label}}.",
    "kinds/common": "{{general}} Give one question.",
    "kinds/talk": "{{general}} Give several questions.",
    "reply": "Think, then answer: {{question}}",
    "same": "Is {{answer}} about {{label}}?",
    "match": "How well do {{question}} and {{answer}} match?",
}
RECIPE = """
name: general
source: {image: image, label: text, talk: conversation}
nodes:
  - {name: task, stage: pick, with: {shares: {common: 1, talk: 3}}}
  - {name: general, stage: phrase, inputs: {label: source.label}, with: {phrases: general}}
  - {name: ask, stage: generate, pool: vlm, inputs: {image: source.image, variant: task.choice, general: general.text}, with: {prompts: kinds}}
  - {name: questions, stage: split, inputs: {text: ask.text}, with: {by: line, at_most: 7}}
  - {name: known, stage: turns_to_qa, inputs: {turns: source.talk}}
  - {name: reply, stage: generate, pool: llm, inputs: {question: known.question}, with: {prompt: reply}}
  - {name: thought, stage: reasoning, inputs: {text: reply.text}}
  - {name: check, stage: classify, pool: llm, inputs: {answer: thought.answer, label: source.label}, with: {prompt: same, choices: [Yes, No, Unsure], accept: [Yes, Unsure]}}
  - {name: sort, stage: branch, inputs: {choice: check.choice}, with: {routes: {Unsure: unsure}}}
  - {name: before, stage: score, pool: llm, inputs: {question: known.question, answer: known.answer}, with: {prompt: match, scale: [1, 10]}}
  - {name: after, stage: score, pool: llm, inputs: {question: known.question, answer: thought.answer}, with: {prompt: match, scale: [1, 10]}}
  - {name: gain, stage: improvement, inputs: {before: before.score, after: after.score}, with: {at_least: 1}}
  - {name: talk, stage: conversation, inputs: {questions: known.questions, answers: known.answers}}
records:
  accepted: {data_source: general, instruction: known.question, response: thought.answer}
  unsure: {route: unsure, data_source: unsure, instruction: known.question, response: thought.answer}
"""  # noqa: E501
TALK = [Turn("human", "<image>\nWhat is it?"), Turn("gpt", "A robin.")]
REPLIES = {
    "Ask": "1. What is it?\n2. Where is it?", "Think": "<think>I see.</think>A red robin.", "Is": "[[Yes]]",
    "How well do What is it? and A robin.": "【6分】", "How well do What is it? and A red robin.": "[[9/10]]",
}  # fmt: skip


def bound(folder: Path, text: str = RECIPE) -> Recipe:
    for name, prompt in PROMPTS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.txt").write_text(prompt)
    spec = RecipeSpec.model_validate(read_yaml_text(text, "r.yaml"))
    source = {name: source_type(kind) for name, kind in (spec.source or {}).items()}
    return bind(spec, where="r.yaml", stages=SHIPPED.stages, prompts=[folder], pools=["vlm", "llm"], source=source)


def walked(recipe: Recipe, replies: dict[str, str]) -> Row:
    """A row that has passed through a recipe, whose models answer by the beginning of the prompt."""

    def script(call: Call) -> Reply:
        return next(Reply.of(reply) for begin, reply in replies.items() if call.request.text.startswith(begin))

    engine = ScriptedEngine(script)
    runners = [NodeRunner(node, engine if node.pool else None, "", 7, 0) for node in recipe.nodes]
    row = Row("r", {}, None, None, source={"image": None, "label": "a robin", "talk": TALK})
    asyncio.run(walk(row, runners, in_full=False))
    return row


def test_a_row_passes_through_all_of_them(tmp_path: Path) -> None:
    row = walked(bound(tmp_path), REPLIES)
    assert row.route == "main"
    drawn = "common" if seed(7, "r", "task", 0) < 2**31 / 4 else "talk"
    fields = {name: {key: getattr(out, key) for key in out.__slots__} for name, out in row.values.items()}
    assert fields == {
        "task": {"choice": drawn},
        "general": {"text": "Ask about a robin."},
        "ask": {"text": REPLIES["Ask"]},
        "questions": {"parts": ["What is it?", "Where is it?"]},
        "known": {
            "questions": ["What is it?"], "answers": ["A robin."], "question": "What is it?", "answer": "A robin.",
        },
        "reply": {"text": REPLIES["Think"]},
        "thought": {"text": REPLIES["Think"], "thought": "I see.", "answer": "A red robin."},
        "check": {"choice": "Yes", "reply": "[[Yes]]", "probability": None},
        "sort": {"choice": "Yes"},
        "before": {"score": 6, "reply": "【6分】"},
        "after": {"score": 9, "reply": "[[9/10]]"},
        "gain": {"gain": 3.0},
        "talk": {"turns": [Turn("human", "What is it?"), Turn("gpt", "A robin.")]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "route", "node", "reason"),
    [
        ({"Ask": "\n"}, "rejected", "ask", "empty_text"),
        ({"Ask": "?\n" * 9}, "rejected", "questions", "too_few_parts"),
        ({"Think": "I see."}, "rejected", "thought", "no_reasoning_end"),
        ({"Is": "[[No]]"}, "rejected", "check", "choice_no"),
        ({"Is": "It is."}, "failed", "check", "no_choice"),
        ({"How well do What is it? and A red robin.": "【6分】"}, "rejected", "gain", "no_improvement"),
    ],
)
def test_a_row_leaves_at_the_stage_that_diverts_it(
    changed: dict[str, str], route: str, node: str, reason: str, tmp_path: Path
) -> None:
    row = walked(bound(tmp_path), REPLIES | changed)
    assert (row.route, row.node, row.reason) == (route, node, reason)


def test_a_branch_sends_a_row_to_the_route_of_its_word(tmp_path: Path) -> None:
    row = walked(bound(tmp_path), REPLIES | {"Is": "[[Unsure]]"})
    assert row.route == "unsure"
    assert row.moves == [{"node": "sort", "route": "unsure", "reason": "branch_unsure", "detail": "Unsure"}]


BROKEN = [
    ("variant: task.choice, ", "",
     "node 'ask': input 'variant' names one of common, talk; add `variant: node.field`"),
    ("known.question}, with: {prompt: reply}", "known.question, variant: task.choice}, with: {prompt: reply}",
     "node 'reply': input 'variant' is read with `prompts` only; remove it, or name a folder of prompts"),
    (", general: general.text}", "}",
     "node 'ask': prompt 'kinds/common' reads {{general}}, which is not bound; add `general: node.field`"),
    ("general: general.text}", "general: general.text, label: source.label}",
     ("node 'ask': prompt 'kinds/common' and 'kinds/talk' does not read {{label}}; remove the input, or use another "
      "prompt")),
    ("inputs: {label: source.label}, with: {phrases", "with: {phrases",
     "node 'general': prompt 'general' reads {{label}}, which is not bound; add `label: node.field`"),
    ("prompts: kinds", "prompts: kind",
     "node 'ask', with: prompts: there is no folder of prompts 'kind' (known: kinds). Did you mean 'kinds'?"),
    ("choices: [Yes, No, Unsure]", "choices: [true, No]",
     ("node 'check', with: choices: True is a boolean, not a text; write the choice in quotes, such as \"Yes\" or "
      "\"true\"")),
    ("after: after.score", "after: after.reply",
     "node 'gain': input 'after' must be number, but 'after.reply' is text"),
    ("routes: {Unsure: unsure}", "routes: {Unsure: doubt}",
     "record 'unsure': no earlier node sends rows to route 'unsure' (possible: main, doubt)"),
    ("routes: {Unsure: unsure}", "routes: {Unsure: unsure, Yes: main}",
     "node 'sort': exit 'main' leads to route 'main', which the node is on; name another"),
    ("questions: known.questions,", "questions: known.question,",
     "node 'talk': input 'questions' must be list of texts, but 'known.question' is text"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "problem"), BROKEN)
def test_a_wrong_input_is_reported_when_the_recipe_is_loaded(old: str, new: str, problem: str, tmp_path: Path) -> None:
    assert old in RECIPE
    with pytest.raises(JobError) as error:
        bound(tmp_path, RECIPE.replace(old, new))
    assert problem in [text.removeprefix("r.yaml, ") for text in error.value.problems]
