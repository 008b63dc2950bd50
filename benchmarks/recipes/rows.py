"""Input rows of the recipes: images of the world, with the texts that a recipe reads beside them."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.demo_images import encoded, picture_of
from benchmarks.world.matching import exchange, kinds_about, mismatched, request_about
from benchmarks.world.oracle import answer, right_answer
from benchmarks.world.recipe_lessons import FALSE_CAPTIONS
from benchmarks.world.scene import Scene
from benchmarks.world.speech import caption, gap
from benchmarks.world.turns import draw_language, draw_request, falsified
from oasis_ray.input.columns import IMAGE

SEED = "recipes"  # training and the other benchmarks draw from other seeds


def scene_of(number: int) -> Scene:
    """The scene of a row's image."""
    return picture_of(SEED, number)[0]


def texts_of(recipe: str, number: int) -> dict[str, str]:
    """What a row of this recipe has beside its image. All recipes have the same images."""
    scene, rng = scene_of(number), random.Random(f"{SEED} {number}")
    language = draw_language(rng)
    match recipe:
        case "detailed_inst":
            if rng.random() < 0.5:
                return {"caption": gap(language).join(caption(scene, language))}
            thing = rng.choice(scene.things)
            kind = rng.choice([kind for kind in kinds_about(thing) if kind != "bar"])
            return {"caption": answer(scene, request_about(kind, thing, language)) or ""}
        case "match_score" | "match_score_as_coded":
            asked, response = exchange(scene, language, rng)
            return {"instruction": asked, "response": response}
        case "prompt_evolve":
            asked, response, _ = mismatched(scene, language, rng)
            return {"instruction": asked, "response": response}
        case "vl_thinking" | "vl_thinking_captioned":
            asked = draw_request(scene, "good", "en", rng)
            drawn = falsified(scene, rng) if rng.random() < FALSE_CAPTIONS else scene
            texts = {"question": asked, "answer": right_answer(scene, asked)}
            return texts | ({"caption": " ".join(caption(drawn, "en"))} if recipe == "vl_thinking_captioned" else {})
    return {}


def write_rows(path: Path, recipe: str, count: int) -> None:
    """Write a shard of `count` rows, named by their numbers."""
    rows = [
        {"id": f"{number:05d}", "image": {"bytes": encoded(picture_of(SEED, number)[1]), "path": f"{number:05d}.png"}}
        | texts_of(recipe, number)
        for number in range(count)
    ]
    texts = {name: pa.string() for name in texts_of(recipe, 0)}
    table = pa.Table.from_pylist(rows, pa.schema({"id": pa.string(), "image": IMAGE} | texts))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=16)
