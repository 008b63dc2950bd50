"""A recipe is bound, or all its problems are reported: where, what, what is possible, and a hint."""

from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import JobError
from oasis_ray.recipe.binding import bind
from oasis_ray.recipe.recipe import Recipe, Record, Ref
from oasis_ray.recipe.source import source_type
from oasis_ray.recipe.spec import RecipeSpec
from oasis_ray.stage import RowStage
from oasis_ray.types import MAIN, Image

RECIPE = """
name: small
nodes:
  - {name: hook, stage: hook, pool: vlm, inputs: {image: source.image}}
  - {name: sort, stage: categorize, pool: llm, inputs: {text: hook.text}, with: {prompt: categorize}}
  - {name: judge, stage: score, pool: llm, inputs: {instruction: sort.reply}, with: {prompt: nonsense, accept: [5]}}
  - {name: idle, stage: score, enabled: false, inputs: {caption: sort.reply}, with: {prompt: clarity, accept: [5]}}
  - {name: gate, stage: gate, inputs: {scores: {judge: judge.score, idle: idle.score}}, with: {at_least: {judge: 3}}}
  - {name: answer, stage: respond, pool: vlm, inputs: {instruction: sort.instruction}}
  - {name: tidy, stage: clean, route: caption, inputs: {text: hook.text}}
  - name: pair
    stage: pair
    route: caption
    inputs: {caption: tidy.text, language: hook.text}
    with: {phrases: describe}
records:
  accepted: {data_source: a, instruction: sort.instruction, response: answer.text, scores: {judge: judge.score}}
  captions: {route: caption, data_source: b, instruction: pair.instruction, response: tidy.text}
rates:
  - {label: a rate, from: sort, to: gate, published: 0.5}
"""


def bound(text: str = RECIPE, /, stages: dict[str, Any] | None = None, **source: str) -> Recipe:
    return bind(
        RecipeSpec.model_validate(yaml.safe_load(text)),
        where="r.yaml",
        stages={**SHIPPED.stages, **(stages or {})},
        prompts=[SHIPPED.prompts],
        pools=["vlm", "llm"],
        source={name: source_type(kind) for name, kind in (source or {"image": "image"}).items()},
    )


def problems(old: str, new: str, /, **keys: Any) -> list[str]:
    """Return the problems of the recipe with `old` replaced by `new`; each names the file."""
    assert old in RECIPE
    with pytest.raises(JobError) as error:
        bound(RECIPE.replace(old, new), **keys)
    assert all(problem.startswith("r.yaml") for problem in error.value.problems)
    return [problem.removeprefix("r.yaml, ") for problem in error.value.problems]


def test_a_recipe_is_bound_without_disabled_nodes() -> None:
    recipe = bound()
    assert [(node.name, node.pool, node.route) for node in recipe.nodes] == [
        ("hook", "vlm", "main"), ("sort", "llm", "main"), ("judge", "llm", "main"), ("gate", None, "main"),
        ("answer", "vlm", "main"), ("tidy", None, "caption"), ("pair", None, "caption"),
    ]  # fmt: skip
    assert recipe.nodes[3].inputs == {"scores": {"judge": (Ref("judge", "score"),)}}
    assert recipe.nodes[4].inputs == {"instruction": (Ref("sort", "instruction"),)}
    assert recipe.records == {
        "accepted": Record(
            MAIN, "a", ((Ref("sort", "instruction"),), (Ref("answer", "text"),)), {"judge": (Ref("judge", "score"),)}
        ),
        "captions": Record("caption", "b", ((Ref("pair", "instruction"),), (Ref("tidy", "text"),)), {}),
    }


@pytest.mark.parametrize(
    ("wire", "problem"),
    [
        ("hok.text", "but there is no earlier node 'hok' (possible: source, hook). Did you mean 'hook'?"),
        ("answer.text", "but there is no earlier node 'answer' (possible: source, hook)."),
        ("sort.reply", "but there is no earlier node 'sort' (possible: source, hook)."),
        ("idle.reply", "but node 'idle' is disabled (possible: source, hook)."),
        ("hook.txt", "but 'hook' has: text, truncated. Did you mean 'hook.text'?"),
        ("hook", "but 'hook' has: text, truncated. Did you mean 'hook.text'?"),
        ("source.imgae", "but 'source' has: image. Did you mean 'source.image'?"),
    ],
)
def test_an_invalid_reference_is_reported_with_what_is_possible(wire: str, problem: str) -> None:
    found = problems("{text: hook.text}, with", f"{{text: {wire}}}, with")
    assert found == [f"node 'sort': input 'text' is bound to '{wire}', {problem}"]


@pytest.mark.parametrize("node", ["answer", "sort", "judge"])
def test_a_caption_has_no_outputs_of_nodes_on_the_main_route(node: str) -> None:
    found = problems("language: hook.text", f"language: {node}.reply")
    why = f"rows on route 'caption' do not pass node '{node}' (possible: source, hook, tidy)."
    assert found == [f"node 'pair': input 'language' is bound to '{node}.reply', but {why}"]


STAGES = ", ".join(sorted(SHIPPED.stages))
PROMPTS = ", ".join(sorted(path.stem for path in SHIPPED.prompts.glob("*.txt")))
BROKEN = [
    ("stage: gate", "stage: gat", f"node 'gate': there is no stage 'gat' (known: {STAGES}). Did you mean 'gate'?"),
    ("stage: gate", "stage: 'no.x:Y'", "node 'gate': stage 'no.x:Y' can't be imported: No module named 'no'"),
    ("pool: llm, inputs: {text", "pool: lllm, inputs: {text",
     "node 'sort': the job has no pool 'lllm' (it has: vlm, llm). Did you mean 'llm'?"),
    ("pool: llm, inputs: {text", "inputs: {text",
     "node 'sort': stage 'categorize' asks a model; name its pool (the job has: vlm, llm)"),
    ("stage: gate", "stage: gate, pool: vlm", "node 'gate': stage 'gate' asks no model; remove `pool: vlm`"),
    ("{instruction: sort.instruction}}\n", "{}}\n",
     "node 'answer': input 'instruction' (text) is not bound; add `instruction: node.field`"),
    ("{instruction: sort.instruction}}\n", "{instruction: sort.instruction, imag: source.image}}\n",
     "node 'answer': input 'imag' is not one of stage 'respond' (it reads: instruction, image). Did you mean 'image'?"),
    ("{text: hook.text}, with", "{text: hook.truncated}, with",
     "node 'sort': input 'text' must be text, but 'hook.truncated' is true or false"),
    ("{text: hook.text}, with", "{text: {a: hook.text}}, with",
     "node 'sort': input 'text' takes a single `node.field`, not {'a': 'hook.text'}"),
    ("{judge: judge.score, idle: idle.score}", "judge.score",
     "node 'gate': input 'scores' takes a mapping of names to `node.field`, not 'judge.score'"),
    ("{judge: judge.score, idle: idle.score}", "{judge: judge.reply}",
     "node 'gate': input 'scores', 'judge' must be integer, but 'judge.reply' is text"),
    ("nonsense", "nonsens",
     f"node 'judge', with: prompt: there is no prompt 'nonsens' (known: {PROMPTS}). Did you mean 'nonsense'?"),
    ("describe", "describes",
     ("node 'pair', with: phrases: there are no phrases 'describes' (known: describe, genixer_general). "
      "Did you mean 'describe'?")),
    ("accept: [5]}}\n  - {name: idle", "accept: [5], acept: 5}}\n  - {name: idle",
     ("node 'judge', with: acept: unknown key (known: sampling, prompt, accept, scale, near_miss, terse). "
      "Did you mean 'accept'?")),
    ("prompt: nonsense", "prompt: helpful",
     "node 'judge': prompt 'helpful' reads {{response}}, which is not bound; add `response: node.field`"),
    ("{instruction: sort.reply}, with", "{instruction: sort.reply, caption: hook.text}, with",
     "node 'judge': prompt 'nonsense' does not read {{caption}}; remove the input, or use another prompt"),
    ("{judge: judge.score}}\n", "{judge: judge.reply}}\n",
     "record 'accepted': score 'judge' must be number, but 'judge.reply' is text"),
    ("from: sort", "from: srt", "rates: there is no node 'srt'. Did you mean 'sort'?"),
    ("from: sort, to: gate", "from: gate, to: sort", "rates: node 'gate' does not come before node 'sort'"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "problem"), BROKEN)
def test_a_broken_recipe_says_where_what_and_what_was_possible(old: str, new: str, problem: str) -> None:
    assert problems(old, new) == [problem]


@pytest.mark.parametrize("name", ["judge", "source", "admit"])
def test_a_duplicate_name_is_rejected(name: str) -> None:
    found = problems("name: answer", f"name: {name}")
    assert f"node '{name}': the name is already in use; give each node a unique name" in found


def test_a_record_uses_outputs_of_nodes_on_its_route() -> None:
    at, passed = "record 'accepted': 'response' is bound to", "source, hook, sort, judge, gate, answer"
    assert problems("response: answer.text", "response: idle.reply") == [
        f"{at} 'idle.reply', but node 'idle' is disabled (possible: {passed})."
    ]


def test_a_record_uses_values_of_the_source() -> None:
    text = RECIPE.replace("response: answer.text", "response: source.text, columns: {hint: source.text}")
    record = bound(text, text="text", image="image").records["accepted"]
    assert record.turns == ((Ref("sort", "instruction"),), (Ref("source", "text"),))
    assert record.columns == {"hint": (Ref("source", "text"),)}


def test_a_route_needs_a_node_that_sends_rows_there_and_a_record() -> None:
    found = problems("{name: sort,", "{name: sort, enabled: false,")
    assert "node 'tidy': no earlier node sends rows to route 'caption' (possible: main)" in found
    (record,) = [line for line in RECIPE.splitlines() if line.startswith("  captions:")]
    advice = "add one to `records`, or bring the rows back with `to`, or drop them with an exit to 'rejected'"
    assert problems(record, "") == [
        f"r.yaml: rows end on route 'caption', but no record has `route: caption`; {advice}"
    ]


@dataclass(frozen=True)
class Seen:
    text: str
    image: Image | None = None


class Odd(RowStage[Seen, Seen]):
    def apply(self, row: Seen) -> Seen:
        return row


class Unsaid(RowStage[Seen, Seen]):
    def apply(self, row):  # type: ignore[no-untyped-def]
        return row


def test_a_stage_without_annotations_is_rejected() -> None:
    assert problems("stage: clean", "stage: unsaid", stages={"unsaid": Unsaid}) == [
        "node 'tidy': stage Unsaid: annotate parse() or apply() with dataclasses: row: In -> Out | Divert"
    ]


def test_a_stage_whose_out_cannot_be_written_is_rejected() -> None:
    (found,) = problems("stage: clean", "stage: odd", stages={"odd": Odd})
    assert found.startswith("node 'tidy': ")
    assert "an Out may hold str, int, float, bool, Turn, lists of these, and None" in found


def test_all_problems_are_reported_at_once_without_consequential_ones() -> None:
    broken = RECIPE.replace("stage: hook", "stage: hok").replace(
        "pool: llm, inputs: {text", "pool: lllm, inputs: {text"
    )
    with pytest.raises(JobError) as error:
        bound(broken.replace("accept: [5]", "accept: [6]"))
    assert list(error.value.problems) == [
        f"r.yaml, node 'hook': there is no stage 'hok' (known: {STAGES}). Did you mean 'hook'?",
        "r.yaml, node 'sort': the job has no pool 'lllm' (it has: vlm, llm). Did you mean 'llm'?",
        "r.yaml, node 'judge', with: accept lists scores from 1 to 5, such as [4, 5], not [6]",
    ]
