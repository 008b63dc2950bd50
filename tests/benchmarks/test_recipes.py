"""The recipes' lessons are right by the oracle, and the benchmark's jobs and marks fit the recipes."""

import random
from pathlib import Path

import pytest
import torch

from benchmarks.recipes.jobs import RECIPES, write_job
from benchmarks.recipes.rows import scene_of, texts_of, write_rows
from benchmarks.recipes.truth import TRUTHS, exchanges, true_caption
from benchmarks.world.matching import advice, fit, improved, mismatched, questions, repaired
from benchmarks.world.oracle import FLAWS, answer, flaw, is_right
from benchmarks.world.pair import new_vlm, widened, world_tokenizer
from benchmarks.world.phrases import LANGUAGES
from benchmarks.world.recipe_lessons import spoken
from benchmarks.world.recipe_replies import checked, divided, matched, of_the_image, reasoned
from benchmarks.world.scene import Scene, draw_scene
from benchmarks.world.speech import caption, gap, read_request
from benchmarks.world.turns import draw_request
from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import load_job
from tests.support.scenes import CHART, SCENE

RED = "A small red circle is at the top left."
SIGN = "A blue sign at the bottom right says STOP."
HEART = "A large green heart is at the bottom left."
SAYS, SILENT = "<think>\nThe description says:", "<think>\nThe description says nothing of it.\n</think>\n\n"


@pytest.mark.parametrize(
    ("scene", "statement", "reply"),
    [
        (SCENE, RED, f"{RED} [[Correct]]"),
        (SCENE, "A large red circle is at the top left.", f"{RED} [[Incorrect]]"),
        (SCENE, "A small red heart is at the top left.", f"{HEART} [[Incorrect]]"),
        (SCENE, "A small red ring is at the top left.", f"{RED} [[Incorrect]]"),
        (SCENE, "A small black ring is at the top left.", "There is no ring. [[Incorrect]]"),
        (SCENE, "A blue sign at the bottom right says EXIT.", f"{SIGN} [[Incorrect]]"),
        (SCENE, "This is a bar chart.", "There are no bars. [[Incorrect]]"),
        (CHART, "This is a bar chart.", "This is a bar chart. [[Correct]]"),
        (CHART, "A blue sign at the bottom right says STOP.", "There is no sign. [[Incorrect]]"),
        (CHART, "The red bar is at 7.", "The red bar is at 3. [[Incorrect]]"),
        (CHART, "红色的柱子是3。", "红色的柱子是3。 [[Correct]]"),
    ],
)
def test_a_check_says_what_the_image_shows_in_the_place_of_a_statement(
    scene: Scene, statement: str, reply: str
) -> None:
    assert checked(scene, statement) == reply


@pytest.mark.parametrize(
    ("asked", "response", "fits"),
    [
        ("What color is the circle?", "The circle is blue.", "full"),  # whether it is true does not matter
        ("What color is the circle?", "The heart is red.", "other"),
        ("What color is the circle?", "The sign is red.", "none"),
        ("Is there a red heart?", "No, there is no red heart.", "full"),
        ("Is there a red heart?", "Yes, there is a red circle.", "other"),
        ("Count the shapes.", "There is one shape.", "full"),
        ("Count the shapes.", "There are two bars.", "none"),
        ("Describe the picture.", f"{RED} {SIGN}", "full"),
        ("Describe the picture.", "The circle is red.", "none"),
    ],
)
def test_a_response_fits_a_request_by_its_form(asked: str, response: str, fits: str) -> None:
    request = read_request(asked)
    assert request and fit(request, response) == fits


@pytest.mark.parametrize(
    ("scene", "asked", "response", "reply"),
    [
        (SCENE, "What color is the circle?", "The circle is red.", "应当回复：The circle is red.【10分】"),
        (SCENE, "What color is the circle?", "The circle is blue.", "应当回复：The circle is red.【4分】"),
        (SCENE, "What color is the circle?", "The sign is blue.", "应当回复：The circle is red.【1分】"),
        (SCENE, "What color is the ring?", "The ring is blue.", "图片里没有答案。【2分】"),
        (SCENE, "Tell me more.", "The circle is red.", "提示词含糊。【2分】"),
        (SCENE, "circle the is color What?", "The circle is red.", "提示词不通顺。【1分】"),
        (None, "What color is the circle?", "The circle is blue.", "回复符合提示词。【9分】"),
        (None, "What color is the circle?", "The heart is red.", "回复说的是别的东西。【3分】"),
        (None, "Count the shapes.", "The heart is red.", "回复答非所问。【1分】"),
    ],
)
def test_a_match_is_scored_with_the_image_or_by_the_texts(
    scene: Scene | None, asked: str, response: str, reply: str
) -> None:
    assert matched(scene, asked, response) == reply


@pytest.mark.parametrize(
    ("asked", "reply"),
    [
        (
            "Where is the red circle?",
            f"{SAYS} {RED}\n</think>\n\nThe red circle is at the top left.",
        ),
        ("Read the sign.", f"{SAYS} {SIGN}\n</think>\n\nThe sign says STOP."),
        ("Is there a red heart?", f"{SILENT}No, there is no red heart."),
        ("What color is the ring?", f"{SILENT}There is no ring."),
        ("Count the shapes.", f"{SAYS} {RED} {SIGN} {HEART}\n</think>\n\nThere are two shapes."),
    ],
)
def test_a_thought_names_what_the_answer_follows_from(asked: str, reply: str) -> None:
    assert reasoned(SCENE, asked) == reply
    assert "description" not in of_the_image(reply)


def test_a_caption_is_divided_into_its_statements() -> None:
    assert divided(f"{RED} The train leaves at nine. {SIGN}") == f"{RED}\n{SIGN}"
    assert divided("This is a very nice picture. Everybody will like it.") == ""


def test_what_is_made_of_a_scene_is_right_there() -> None:
    """Repaired requests are good, questions from a caption too, and advice leads to the request that was meant."""
    rng = random.Random(0)
    for _ in range(300):
        scene, language = draw_scene(rng), rng.choice(LANGUAGES)
        for kind in FLAWS:
            assert flaw(scene, repaired(scene, draw_request(scene, kind, language, rng), rng)) == "good"
        assert all(flaw(scene, request.say()) == "good" for request in questions(scene, language, rng))
        asked, response, meant = mismatched(scene, language, rng)
        request = read_request(meant)
        assert request and answer(scene, request) == response
        followed = improved(asked, advice(asked, meant))
        assert followed in (meant, None)  # None: an unclear request names nothing, so that only the image would help
        assert followed or flaw(scene, asked) == "unclear"
        told = gap(language).join(caption(scene, language))
        assert [checked(scene, line).endswith("[[Correct]]") for line in divided(told).splitlines()] == [True] * len(
            caption(scene, language)
        )


def test_a_model_with_more_tokens_predicts_as_before() -> None:
    old, new = world_tokenizer(), world_tokenizer(spoken())
    torch.manual_seed(0)
    small, large = new_vlm(old), new_vlm(new)
    large.load_state_dict(widened(small, old, new))
    text = "What color is the circle?"
    with torch.no_grad():
        logits = [
            model(input_ids=torch.tensor([words.encode(text)])).logits[0, -1, words.encode(" red")[0]]
            for model, words in ((small, old), (large, new))
        ]
    torch.testing.assert_close(logits[0], logits[1])
    assert len(new) > len(old)


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_recipe_has_a_job_that_fits_it_and_rows_that_it_can_read(recipe: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "shards/rows.parquet", recipe, 3)
    job, loaded = load_job(write_job(tmp_path, recipe), SHIPPED)
    assert {node.pool for node in loaded.nodes if node.pool} == set(job.pools)
    assert set(TRUTHS) == set(RECIPES)


def test_rows_are_the_same_each_time_and_their_truth_is_known() -> None:
    for number in range(50):
        scene = scene_of(number)
        question = texts_of("vl_thinking", number)
        assert texts_of("vl_thinking", number) == question
        assert is_right(scene, question["question"], question["answer"])
        assert texts_of("vl_thinking_captioned", number).items() >= question.items()
    given = [texts_of("vl_thinking_captioned", number)["caption"] for number in range(200)]
    true = [true_caption(scene_of(number), text) for number, text in enumerate(given)]
    assert 0.6 < sum(true) / len(true) < 0.8


def test_the_exchanges_of_a_record() -> None:
    turns = [("human", "<image>\nWhy?"), ("gpt", "So."), ("human", "How?"), ("gpt", "Thus.")]
    row = {"conversations": [{"from": speaker, "value": text} for speaker, text in turns]}
    assert exchanges(row) == [("Why?", "So."), ("How?", "Thus.")]
