"""The world's oracle and what is drawn from the world agree, and the trainer computes what transformers computes."""

import random

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Qwen2VLImageProcessorPil

from benchmarks.world.forward import patches, read, see
from benchmarks.world.lessons import caption_truth, clarity, hallucination, nonsense, picture_lessons, solvability
from benchmarks.world.oracle import FLAWS, answer, flaw, is_right, read_caption, sentences, wellformed
from benchmarks.world.pair import new_llm, new_vlm, world_tokenizer
from benchmarks.world.phrases import LANGUAGES
from benchmarks.world.picture import SIDE, draw_picture
from benchmarks.world.reading import malformed, read_turn
from benchmarks.world.scene import Scene, draw_scene
from benchmarks.world.speech import caption, gap, read_request
from benchmarks.world.turns import draw_request, draw_turn, falsified
from tests.support.scenes import CHART, SCENE

ONE = Scene(SCENE.things[:2])


@pytest.mark.parametrize(
    ("scene", "text", "kind", "right"),
    [
        (SCENE, "What color is the circle?", "good", "The circle is red."),
        (SCENE, "Where is the green heart?", "good", "The green heart is at the bottom left."),
        (SCENE, "红色的圆形有多大？", "good", "红色的圆形是小的。"),
        (SCENE, "¿Qué dice el letrero?", "good", "El letrero dice STOP."),
        (SCENE, "Is there a red heart?", "good", "No, there is no red heart."),
        (SCENE, "Count the shapes.", "good", "There are two shapes."),
        (ONE, "Count the shapes.", "good", "There is one shape."),
        (ONE, "¿Cuántas figuras hay?", "good", "Figuras: una."),
        (CHART, "Which bar is at 7?", "good", "The black bar is at 7."),
        (SCENE, "What color is the ring?", "invented", None),
        (SCENE, "Where is the red heart?", "invented", None),
        (SCENE, "Which shape is blue?", "invented", None),  # the sign is blue
        (CHART, "How many shapes are there?", "invented", None),
        (SCENE, "Who painted the circle?", "unsolvable", None),
        (SCENE, "Who painted the ring?", "invented", None),
        (SCENE, "Tell me more.", "unclear", None),
        (SCENE, "circle the is color What?", "nonsense", None),
        (SCENE, "What color is the circle", "nonsense", None),
    ],
)
def test_the_oracle_knows_the_flaw_and_the_answer(scene: Scene, text: str, kind: str, right: str | None) -> None:
    request = read_request(text)
    assert (flaw(scene, text), answer(scene, request) if request else None) == (kind, right)
    assert is_right(scene, text, right or "The circle is red.") is (right is not None)


def test_what_is_drawn_is_read_back_as_what_it_is() -> None:
    rng = random.Random(0)
    for _ in range(300):
        scene, language = draw_scene(rng), rng.choice(LANGUAGES)
        for kind in ("good", *FLAWS):
            assert flaw(scene, draw_request(scene, kind, language, rng)) == kind
        turn = draw_turn(scene, rng)
        assert (read_turn(turn.text), malformed(turn.text)) == (turn, False)
        told = gap(language).join(caption(scene, language))
        assert wellformed(scene, told)
        assert all(sentence.true for sentence in read_caption(scene, told))
        lie = gap(language).join(caption(falsified(scene, rng), language))
        assert [sentence.true for sentence in read_caption(scene, lie)].count(False) == 1


def test_a_text_comes_apart_into_its_sentences() -> None:
    assert sentences("A b. C? 红色。 D") == ["A b.", "C?", "红色。", "D"]


@pytest.mark.parametrize(
    ("judge", "text", "said"),
    [
        (hallucination, "Where is the red circle?", "The circle is red. [[5]]"),
        (hallucination, "Where is the green circle?", "The circle is red. [[2]]"),
        (hallucination, "Where is the red ring?", "There is no ring. [[1]]"),
        (hallucination, "Read the red sign.", "The sign is blue. [[2]]"),
        (hallucination, "Is there a red ring?", "It takes nothing for given. [[5]]"),
        (hallucination, "Count the bars.", "There are no bars. [[1]]"),
        (solvability, "Who painted the circle?", "The picture does not show that. [[1]]"),
        (solvability, "What color is the ring?", "There is no ring. [[1]]"),
        (clarity, "What color is the ring?", "It is clear what is wanted. [[5]]"),
        (clarity, "Thoughts?", "It is not said what is meant. [[2]]"),
        (caption_truth, "A small red circle is at the top left. Un letrero azul abajo a la derecha dice STOP.",
         "All of it is there. [[5]]"),
        (caption_truth, "A large green heart is at the bottom left. A red sign at the bottom right says STOP.",
         "The color is wrong. [[1]]"),
        (caption_truth, "A large green ring is at the top left.", "There is no such thing. [[1]]"),
        (caption_truth, "This is a bar chart.", "There is no such thing. [[1]]"),
        (caption_truth, "What a beautiful view it is.", "It tells nothing definite. [[3]]"),
    ],
)  # fmt: skip
def test_a_judge_says_what_it_found_before_its_score(judge: object, text: str, said: str) -> None:
    assert judge(SCENE, text) == said  # type: ignore[operator]


def test_judges_of_text_alone() -> None:
    assert (nonsense("Read the sign."), nonsense("sign the Read?")) == (
        "It is a sensible request. [[5]]",
        "The words are jumbled. [[1]]",
    )


def test_the_trainers_forward_pass_is_transformers_own() -> None:
    torch.manual_seed(0)
    words, rng = world_tokenizer(), random.Random(0)
    vlm, llm = new_vlm(words).eval(), new_llm(words).eval()
    pictures = [np.asarray(draw_picture(draw_scene(rng), rng)) for _ in range(2)]
    processor = Qwen2VLImageProcessorPil(min_pixels=SIDE * SIDE, max_pixels=SIDE * SIDE)
    seen = processor([Image.fromarray(picture) for picture in pictures], return_tensors="pt")
    pad = words.convert_tokens_to_ids("<|image_pad|>")
    opening = words.encode("<|im_start|>user\n<|vision_start|>")
    start = [*opening, *[pad] * 16, words.convert_tokens_to_ids("<|vision_end|>")]
    picture = slice(len(opening), len(opening) + 16)
    asked = [torch.randint(300, 900, (2, 2, length)) for length in (5, 9)]
    with torch.no_grad():
        prefix = vlm.model.language_model.embed_tokens(torch.tensor(start)).expand(2, -1, -1).clone()
        prefix[:, picture] = see(vlm, patches(np.stack(pictures)))
        _, groups = read(vlm, prefix, picture, asked)
        for n, (pixels, grid) in enumerate(
            zip(seen["pixel_values"].view(2, 64, -1), seen["image_grid_thw"], strict=True)
        ):
            for ids, states in zip(asked, groups, strict=True):
                whole = torch.tensor([start + ids[n, 1].tolist()])
                wanted = vlm(
                    input_ids=whole,
                    pixel_values=pixels,
                    image_grid_thw=grid[None],
                    mm_token_type_ids=(whole == pad).int(),
                ).logits[0, len(start) :]
                torch.testing.assert_close(vlm.lm_head(states[n, 1]), wanted, atol=1e-4, rtol=1e-4)
        first = llm.model.embed_tokens(torch.tensor(opening)).expand(2, -1, -1)
        _, groups = read(llm, first, None, asked)
        wanted = llm(input_ids=torch.tensor([opening + asked[1][1, 0].tolist()])).logits[0, len(opening) :]
        torch.testing.assert_close(llm.lm_head(groups[1][1, 0]), wanted, atol=1e-4, rtol=1e-4)


def test_lessons_of_a_picture_are_fifteen_with_users_turns_first() -> None:
    rng = random.Random(3)
    lessons = picture_lessons(SCENE, rng)
    assert len(lessons) == 15
    assert [lesson.speaker for lesson in lessons][:2] == ["user", "user"]
