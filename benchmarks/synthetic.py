"""A run folder as large as one likes, of texts that nobody wrote: for measuring what reads runs.

The parts have a run's own columns, and the manifest is that of the recipe; pictures are left out. Of a thousand rows
250 are accepted, 250 captions, 480 rejected and 20 failed. One text in twenty is a copy of another, one in twenty has
a word changed.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import load_job
from oasis_ray.output.manifest import describe, now, write_manifest
from oasis_ray.output.schema import columns
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.types import ACCEPTED, FAILED, REJECTED

JOB = Path(__file__).parents[1] / "cluster/jobs/small.yaml"
OUTCOMES = [ACCEPTED] * 25 + ["captions"] * 25 + [REJECTED] * 48 + [FAILED] * 2
ORIGINS = ("documents", "charts", "photographs", None)
VERBS = ("Describe", "Explain", "Count", "Identify", "Compare", "List", "Write", "Name")
NOUNS = ("chart", "scene", "objects", "label", "colours", "story", "people", "table", "numbers", "building")
PLACES = ("in the picture", "at the top left", "behind the tree", "on the second page", "near the window", "of the bar")
AXES = ("nonsense", "hallucination", "solvability", "clarity")
ROWS_PER_PART = 2000


def write_run(folder: Path, rows: int, seed: int = 0) -> None:
    """Write a run of `rows` rows below `folder`."""
    job, recipe = load_job(JOB, SHIPPED)
    digests = {node.name: "0" * 16 for node in recipe.nodes}
    draw = random.Random(seed)
    said = texts(draw)
    counts = dict.fromkeys(recipe.outcomes, 0)
    for begin in range(0, rows, ROWS_PER_PART):
        made = [_row(at, draw, next(said), recipe) for at in range(begin, min(begin + ROWS_PER_PART, rows))]
        for outcome in recipe.outcomes:
            some = [row for ended, row in made if ended == outcome]
            counts[outcome] += len(some)
            if some:
                path = folder / outcome / f"part-synthetic-{begin // ROWS_PER_PART:06d}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(pa.Table.from_pylist(some, columns(recipe, outcome)), path, compression="zstd")
    manifest = describe(job, recipe, digests, rows) | {"state": "done", "rows": counts, "cost": {}}
    manifest["sessions"] = [{"started": now(), "seconds": 1.0, "seconds_loading": 1.0, "rows": rows}]
    write_manifest(str(folder), manifest)


def texts(draw: random.Random) -> Iterator[tuple[str, str]]:
    """Instructions and responses, some of which come again, or nearly."""
    kept: list[tuple[str, str]] = []
    while True:
        chance = draw.random()
        if kept and chance < 0.1:
            asked, said = draw.choice(kept)
            if chance < 0.05:
                words = said.split()
                words[draw.randrange(len(words))] = f"word{draw.randrange(10**6)}"
                said = " ".join(words)
        else:
            what = f"the {draw.choice(NOUNS)} {draw.choice(PLACES)}"
            asked = f"{draw.choice(VERBS)} {what}, number {draw.randrange(10**5)}."
            said = " ".join(f"{draw.choice(NOUNS)} {draw.randrange(10**4)}" for _ in range(draw.randrange(5, 60)))
            kept = [*kept[-999:], (asked, said)]
        yield asked, said


def _row(at: int, draw: random.Random, pair: tuple[str, str], recipe: Recipe) -> tuple[str, dict[str, Any]]:
    outcome, (asked, said) = draw.choice(OUTCOMES), pair
    scores = {axis: draw.choice((1, 2, 3, 4, 5, 5, 5)) for axis in AXES}
    nodes: dict[str, Any] = {axis: {"score": score, "reply": f"Because. [[{score}]]"} for axis, score in scores.items()}
    step = {"digest": "0" * 16, "seed": at, "finish": "stop", "prompt_tokens": 900, "cached_tokens": 0,
            "reply_tokens": 40, "seconds": 1.0}  # fmt: skip
    row: dict[str, Any] = {
        "id": f"row-{at:09d}", "origin": draw.choice(ORIGINS), "scored_in_full": False,
        "image_sha256": f"{draw.randrange(2**64):064x}", "source": {"file": "made", "row_group": 0, "row": at},
        "lineage": [{"node": node.name, **step} for node in recipe.nodes if node.pool][:6],
    }  # fmt: skip
    if outcome is ACCEPTED:
        row |= {"instruction": asked, "response": said, "scores": scores, "nodes": nodes, "data_source": "oasis"}
    elif outcome == "captions":
        row |= {"instruction": "Describe the image.", "response": said, "data_source": "oasis_caption"}
    else:
        worst = min(scores, key=lambda axis: scores[axis])
        row |= {"node": worst, "reason": f"score_{scores[worst]}" if outcome is REJECTED else "no_verdict"}
        row |= {"nodes": nodes}
    if outcome == "captions":
        row["moves"] = [{"node": "categorize", "route": "caption", "reason": "caption", "detail": ""}]
    if outcome in (ACCEPTED, "captions"):
        turns = [("human", f"<image>\n{row['instruction']}"), ("gpt", said)]
        row["conversations"] = [{"from": who, "value": words} for who, words in turns]
    return outcome, row
