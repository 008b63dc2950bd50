"""Every recipe runs on scripted engines: each row ends as the recipe says, and the records hold what it promises."""

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import load_job
from oasis_ray.output.audit import audit
from oasis_ray.output.outcomes import outcomes_in
from oasis_ray.recipe.recipe import Recipe
from tests.support.checkout import ROOT
from tests.support.jobs import execute, rows_of
from tests.support.recipe_jobs import JOBS, RECIPES, write_recipe_job
from tests.support.recipe_records import record_of, records_on, run_recipe
from tests.support.recipe_rows import ENDS, ROWS, SQUARE


def ends(run: Path) -> dict[str, tuple[str, str | None, str | None]]:
    return {
        row["id"]: (outcome, row.get("node"), row.get("reason"))
        for outcome in outcomes_in(str(run))
        for row in rows_of(run, outcome)
    }


def loaded(recipe: str) -> Recipe:
    return load_job(JOBS / f"{recipe}.yaml", SHIPPED)[1]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_job_for_a_cluster_has_the_pools_that_the_recipe_asks(recipe: str) -> None:
    pools = yaml.safe_load((JOBS / f"{recipe}.yaml").read_text(encoding="utf-8"))["pools"]
    assert {node.pool for node in loaded(recipe).nodes} - {None} == {*pools}
    bound = loaded(recipe)
    assert (bound.name, bound.records["accepted"].data_source) == (recipe, recipe)
    assert bound.about.endswith(".")
    assert bound.cite.startswith("@")


PAGES = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs/recipes").glob("*.md"))}
ON_PAGES = [job for text in PAGES.values() for job in re.findall(r"```yaml\n(recipe: (\w+)\n.*?)```", text, re.DOTALL)]
RECORDS = {recipe: record for text in PAGES.values() for recipe, record in records_on(text).items()}


@pytest.mark.parametrize(("text", "recipe"), ON_PAGES, ids=lambda value: value if "\n" not in value else "")
def test_a_job_on_a_page_is_the_short_form_of_the_job_for_a_cluster(text: str, recipe: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(text)
    short, bound = load_job(tmp_path / "job.yaml", SHIPPED)
    full, _ = load_job(JOBS / f"{recipe}.yaml", SHIPPED) if recipe != "oasis" else (short, bound)
    assert bound.name == recipe
    assert (short.input, short.nodes, short.max_failed) == (full.input, full.nodes, full.max_failed)
    models = [{name: (pool.model, pool.tensor_parallel) for name, pool in one.pools.items()} for one in (short, full)]
    assert models[0] == models[1]


def test_every_recipe_has_a_line_in_the_overview_and_a_section_a_job_and_a_record_on_a_page() -> None:
    shipped = sorted(path.stem for path in SHIPPED.recipes.glob("*.yaml"))
    overview = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| \[`(\w+)`\]\(recipes/(\w+)\.md(?:#(\w+))?\) \|", overview, re.MULTILINE)
    sections = {page.stem: re.findall(r"^##? (\w+)$", text, re.MULTILINE) for page, text in PAGES.items()}
    assert sorted((name, page) for name, page, _ in lines) == sorted(
        (name, page) for page, names in sections.items() for name in names
    )
    assert [name for name, page, anchor in lines if (anchor or page) != name] == []
    assert (
        sorted(name for name, _, _ in lines) == sorted(recipe for _, recipe in ON_PAGES) == sorted(RECORDS) == shipped
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run folder of a recipe's scripted run."""
    return cache(lambda recipe: run_recipe(tmp_path_factory.mktemp(recipe), recipe))


@pytest.mark.parametrize("recipe", sorted(ROWS))
def test_each_row_ends_as_the_recipe_says(recipe: str, finished: Callable[[str], Path]) -> None:
    assert ends(finished(recipe)) == ENDS[recipe]
    assert audit(str(finished(recipe))).faults == []


@pytest.mark.parametrize("recipe", sorted(RECORDS))
def test_the_record_on_a_page_is_that_of_the_run(recipe: str, finished: Callable[[str], Path]) -> None:
    assert RECORDS[recipe] == record_of(finished(recipe), recipe), "run `make docs`"


def accepted(folder: Path, recipe: str, name: str) -> dict[str, Any]:
    execute(write_recipe_job(folder, recipe))
    return next(row for row in rows_of(folder / "run", "accepted") if row["id"] == name)


def test_a_caption_answers_the_request_that_was_made(tmp_path: Path) -> None:
    row = accepted(tmp_path, "caption_gen", "good")
    phrases = (ROOT / "prompts/describe/en.txt").read_text(encoding="utf-8").splitlines()
    assert row["instruction"] in phrases
    assert row["response"].startswith("The picture is filled by one teal square")
    assert row["conversations"][0]["value"] == f"<image>\n{row['instruction']}"


def test_a_caption_without_an_image_gets_a_question_too(tmp_path: Path) -> None:
    row = accepted(tmp_path, "detailed_inst", "writing")
    question = "What can be seen in the picture, and what is there to say about the writing in it?"
    assert (row["instruction"], row["response"]) == (question, "A sign says OPEN in white letters.")
    assert row["conversations"][0]["value"] == question


@pytest.mark.parametrize(
    ("recipe", "name", "seen"),
    [
        ("match_score", "good", "与图片一致"),
        ("match_score", "good-text", "只看文字"),
        ("match_score_as_coded", "good", "只看文字"),
    ],
)
def test_the_judge_of_a_match_sees_the_image_if_there_is_one_and_the_code_never_shows_it(
    recipe: str, name: str, seen: str, tmp_path: Path
) -> None:
    row = accepted(tmp_path, recipe, name)
    (node,) = [out for out in row["nodes"].values() if out]
    assert (row["scores"], row["response"]) == ({"match": 9}, SQUARE)  # not 10, of "满分10分"
    assert node["reply"].startswith(seen)


def test_a_score_is_only_noted_unless_the_job_says_which_it_accepts(tmp_path: Path) -> None:
    assert accepted(tmp_path / "all", "match_score", "poor")["scores"] == {"match": 2}
    execute(write_recipe_job(tmp_path / "best", "match_score", nodes={"match": {"with": {"accept": [8, 9, 10]}}}))
    assert ends(tmp_path / "best/run")["poor"] == ("rejected", "match", "score_2")


def test_an_evolved_prompt_keeps_what_it_was_and_how_much_it_gained(tmp_path: Path) -> None:
    row = accepted(tmp_path / "all", "prompt_evolve", "better")
    assert (row["instruction"], row["response"]) == ("描述这张图片。请用一句话回答。", "一个青色的正方形。")
    assert row["scores"] == {"before": 6, "after": 9}
    assert row["columns"] == {"gain": 3, "old_instruction": "描述这张图片。", "old_response": SQUARE}
    execute(write_recipe_job(tmp_path / "best", "prompt_evolve", nodes={"gain": {"with": {"at_least": 1}}}))
    assert sorted(row["id"] for row in rows_of(tmp_path / "best/run", "accepted")) == ["better"]


def test_the_scores_of_an_evolved_prompt_may_come_from_a_judge_that_sees_the_image(tmp_path: Path) -> None:
    seeing = {"pool": "vlm", "inputs": {"image": "source.image"}}
    path = write_recipe_job(tmp_path, "prompt_evolve", nodes={"before": seeing, "after": seeing})
    nodes = {node.name: node for node in load_job(path, SHIPPED)[1].nodes}
    assert [(nodes[name].pool, nodes[name].wires["image"]) for name in ("before", "after")] == [
        ("vlm", "source.image"),
        ("vlm", "source.image"),
    ]
    assert nodes["after"].wires["instruction"] == "improve.text"


@pytest.mark.parametrize("recipe", ["vl_thinking", "vl_thinking_captioned"])
def test_a_thought_speaks_of_the_image_and_stands_before_the_answer(recipe: str, tmp_path: Path) -> None:
    row = accepted(tmp_path, recipe, "right")
    thought = "I see three dots in a row. One, two, three."
    answer = "There are three white dots in a row.\n\nAnswer: 3"
    assert row["response"] == f"<think>\n{thought}\n</think>\n\n{answer}"
    columns = row["columns"]
    caption = columns.pop("caption")
    assert columns == {"thought": thought, "answer": answer, "known_answer": "3"}
    assert caption.startswith("A teal square, and on it three white dots in a row.")
    assert next(step["node"] for step in row["lineage"]) == ("caption" if recipe == "vl_thinking" else "reason")


def test_several_turns_become_one_conversation_without_captions_and_repetitions(tmp_path: Path) -> None:
    row = accepted(tmp_path, "oasis_n", "good")
    asked = ["How many white dots are there?", "Describe the colours and the places of all things in the picture."]
    assert [turn["value"] for turn in row["conversations"]] == [
        f"<image>\n{asked[0]}",
        f"An answer to: {asked[0]}",
        asked[1],
        f"An answer to: {asked[1]}",
    ]
    assert row["columns"] == {
        "captions": ["A teal square with three white dots."],
        "solvability": [5, 5],
        "clarity": [5, 5],
    }
    dropped = {
        entry["node"]: [(one["element"], one["reason"]) for one in entry["dropped"]] for entry in row["elements"]
    }
    assert {node: some for node, some in dropped.items() if some} == {
        "questions": [(1, "branch_caption")],
        "distinct": [(2, "near_duplicate")],
        "hallucination": [(3, "score_1")],
    }
    requests = Counter(step["node"] for step in row["lineage"])
    # One request for all turns, and none for a question that was dropped.
    assert requests == {
        "hooks": 1, "kind": 5, "nonsense": 3, "hallucination": 3, "solvability": 2, "clarity": 2, "respond": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "first", "judges"),
    [
        ("good", "What is it with that?", []),
        ("unclear", "What is it with that?", ["clarity"]),
        ("invented", "What is it with that?", ["hallucination"]),
        ("nonsense", "What is it with that?", ["nonsense"]),
    ],
)
def test_a_near_miss_is_reworded_once_and_judged_again(
    name: str, first: str, judges: list[str], tmp_path: Path
) -> None:
    row = accepted(tmp_path, "oasis_repair", name)
    assert row["instruction"] == ("What shape is it?" if judges else first)
    assert row["columns"] == {"first_wording": first}
    moves = [(move["node"], move["route"], bool(move["reason"])) for move in row["moves"]]
    back = ("clarity_again", "main", False)
    assert moves == [move for judge in judges for move in ((judge, "reworded", True), back)]
    assert row["scores"] == {"solvability": 5, "clarity": 5, "hallucination": 5, "nonsense": 5}
    again = [step["node"] for step in row["lineage"] if step["node"].endswith("_again")]
    axes = ["nonsense", "hallucination", "solvability", "clarity"]
    assert again == [f"{axis}_again" for axis in axes if judges]


def test_a_caption_keeps_its_statements(tmp_path: Path) -> None:
    row = accepted(tmp_path, "caption_hallucination", "good")
    statements = ["The square is teal.", "There are three white dots.", "There is no writing."]
    assert row["columns"] == {"statements": statements}
    assert [out["choice"] for out in row["nodes"]["check"]] == ["Correct"] * 3


def test_pairs_are_judged_one_by_one_without_options_and_recorded_with_them(tmp_path: Path) -> None:
    choice = accepted(tmp_path / "choice", "genixer", "choice")
    assert choice["instruction"] == "How many dots are there?\nA. one\nB. two\nC. three\nD. four"
    assert (choice["response"], choice["columns"]) == ("C", {"task": "common", "probability": [0.95]})
    assert (choice["nodes"]["pairs"]["stems"], choice["nodes"]["pairs"]["spoken"]) == (
        ["How many dots are there?"],
        ["three"],
    )
    talk = accepted(tmp_path / "talk", "genixer", "dialogue")
    assert [turn["value"] for turn in talk["conversations"]] == [
        "<image>\nWhich colour has the square?",
        "It is teal.",
        "How do the dots lie?",
        "They lie\nin a row.",
    ]
    assert talk["columns"]["probability"] == [0.95, 0.95]  # the pair about a dog is gone


def test_a_job_draws_other_kinds_of_question_than_the_recipe(tmp_path: Path) -> None:
    shares = {"common": 0, "any": 1, "adversarial": 1, "choice": 1, "dialogue": 1}
    path = write_recipe_job(tmp_path, "genixer", copies=10, nodes={"task": {"with": {"shares": shares}}})
    execute(path)
    drawn = {row["columns"]["task"] for row in rows_of(tmp_path / "run", "accepted")}
    assert drawn == {"any", "adversarial", "choice", "dialogue"}


def test_magpie_answers_a_request_without_what_came_after_it(tmp_path: Path) -> None:
    row = accepted(tmp_path, "magpie", "row-00000001")
    assert row["instruction"] == "Write a haiku about rain."
    assert row["response"] == "Here is an answer to: Write a haiku about rain."
    assert (row["scores"], row["columns"]) == ({"quality": 5, "difficulty": 2}, {"kind": "writing"})
    assert row["conversations"][0]["value"] == row["instruction"]


def test_the_prompt_of_a_request_s_kind_explains_each_kind() -> None:
    kind = next(node.stage for node in loaded("magpie").nodes if node.name == "kind")
    explained = [line.partition(":")[0] for line in kind.prompt.text.splitlines()]  # type: ignore[attr-defined]
    assert [choice for choice in kind.choices if choice not in explained] == []  # type: ignore[attr-defined]
