"""A small recipe, and rows of it that have ended."""

from typing import Any

from oasis_ray.content.stages import categorize, clean, hook, pair, respond, score

from oasis_ray.recipe.recipe import Node, Recipe, Record, Ref
from oasis_ray.recipe.row import Row
from oasis_ray.stage.phrases import Phrases
from oasis_ray.stage.prompt import Prompt
from oasis_ray.types import MAIN

PICTURE = {"bytes": b"picture", "path": "a.png"}
PLACE = {"file": "s", "row_group": 0, "row": 7}
STEPS = [
    {"node": "hook", "digest": "d", "seed": 5, "finish": "stop", "prompt_tokens": 9, "cached_tokens": 4,
     "reply_tokens": 3, "started": 1.7e9, "seconds": 0.5, "engine": "a1", "engine_seconds": 0.4}
]  # fmt: skip
PROMPT = Prompt("p", "{{instruction}}")
RECIPE = Recipe(
    "small",
    (
        Node("hook", "hook", hook.Hook(), "vlm", MAIN, {}),
        Node("sort", "categorize", categorize.Categorize(prompt=PROMPT), "llm", MAIN, {}, {"caption": "caption"}),
        Node("judge", "score", score.Score(prompt=PROMPT, accept=(5,)), "llm", MAIN, {}),
        Node("answer", "respond", respond.Respond(), "vlm", MAIN, {}),
        Node("tidy", "clean", clean.Clean(), None, "caption", {}),
        Node("pair", "pair", pair.Pair(phrases=Phrases("d", {"en": ("Describe.",)})), None, "caption", {}),
    ),
    {
        "accepted": Record(
            MAIN, "a", ((Ref("sort", "instruction"),), (Ref("answer", "text"),)), {"sense": (Ref("judge", "score"),)}
        ),
        "captions": Record("caption", "b", ((Ref("pair", "instruction"),), (Ref("tidy", "text"),)), {}),
    },
)


def ended(**keys: Any) -> Row:
    """A row that came to the end of the main route."""
    values = {
        "hook": hook.Out("What is it?", truncated=False),
        "sort": categorize.Out("What is it?", "Kind: instruction"),
        "judge": score.Out(5, "[[5]]"),
        "answer": respond.Out("A cat.", None),
    }
    row = Row("r", PLACE, PICTURE, "0" * 64, origin="a crawl", values=values, lineage=STEPS)
    for key, value in keys.items():
        setattr(row, key, value)
    return row
