"""Run folders made by hand, in the columns of the recipe `oasis`, for tests of what looks at runs."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from oasis_ray.content.stages import categorize, clean, gate, hook, language, pair, respond, score

from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import load_job
from oasis_ray.output.manifest import describe, node_digests, write_manifest
from oasis_ray.output.part_writer import unpack, write_part
from oasis_ray.output.record import batch
from oasis_ray.output.schema import columns
from oasis_ray.recipe.row import Row
from oasis_ray.types import FAILED, REJECTED

STEP = {"digest": "d", "seed": 5, "finish": "stop", "prompt_tokens": 9, "cached_tokens": 4, "reply_tokens": 3}


def row(
    name: str, *, image: bytes | None = None, text: str = "What is it?", at: int = 0, nodes: Mapping[str, Any] = {},
    scores: Mapping[str, int] = {}, **keys: Any,
) -> Row:  # fmt: skip
    """A row on its way: `text` is what the hook wrote, `at` its place in the input."""
    lineage = [{**STEP, "node": node, "seconds": 0.5} for node in ("hook", *scores)]
    made = Row(name, {"file": "a", "row_group": 0, "row": at}, None, None, lineage=lineage, **keys)
    if image is not None:
        made.image, made.digest = {"bytes": image, "path": None}, sha256(image).hexdigest()
    judged = {axis: score.Out(value, f"{text} is worth [[{value}]]") for axis, value in scores.items()}
    made.values = {"hook": hook.Out(text, truncated=False), **judged, **nodes}
    return made


def accepted(name: str, *, text: str = "What is it?", answer: str = "A square.", **keys: Any) -> Row:
    """A row that came to the end, with fives on all axes unless `scores` says otherwise."""
    scores = dict.fromkeys(("nonsense", "hallucination", "solvability", "clarity"), 5) | dict(keys.pop("scores", {}))
    nodes = {"categorize": categorize.Out(text, f"Instruction: {text}"), "gate": gate.Out(10),
             "respond": respond.Out(answer, None), **keys.pop("nodes", {})}  # fmt: skip
    return row(name, text=text, scores=scores, nodes=nodes, **keys)


def caption(name: str, *, text: str = "A square.", spoken: str = "en", **keys: Any) -> Row:
    """A caption in the language `spoken`."""
    scores = dict.fromkeys(("caption_language", "caption_information", "caption_coherence"), 5)
    nodes = {"caption_clean": clean.Out(text, 0.0), "spoken": language.Out(spoken, sure=True),
             "pair": pair.Out("Describe the picture.")}  # fmt: skip
    moves = [{"node": "categorize", "route": "caption", "reason": "caption", "detail": "Kind: caption"}]
    return row(name, text=text, scores=scores, nodes=nodes, route="caption", moves=moves, **keys)


def rejected(name: str, node: str = "clarity", value: int = 1, **keys: Any) -> Row:
    """A row that the judge `node` turned down with the score `value`."""
    reason = f"score_{value}"
    return row(name, route=REJECTED, node=node, reason=reason, detail=reason, scores={node: value}, **keys)


def failed(name: str, reason: str = "image_broken", **keys: Any) -> Row:
    """A row that could not be worked on."""
    return row(name, route=FAILED, node="admit", reason=reason, detail="it can't be decoded", **keys)


class RunFolder:
    """A run folder, and what writes into it as a run does."""

    def __init__(self, folder: Path, job_file: Path, rows: int = 10) -> None:
        self.path, self._rows = folder, rows
        self.job, self.recipe = load_job(job_file, SHIPPED)
        self.manifest()

    def manifest(self, **keys: Any) -> None:
        """Write run.json, with `keys` laid over it."""
        made = describe(self.job, self.recipe, node_digests(self.job, self.recipe), self._rows)
        write_manifest(str(self.path), {**made, "state": "done", **keys})

    def part(self, name: str, *rows: Row, keep_images: bool = False, drop: tuple[str, ...] = ()) -> None:
        """Write `part-NAME.parquet` of each outcome that occurs, without the columns `drop`."""
        schemas = {outcome: columns(self.recipe, outcome) for outcome in self.recipe.outcomes}
        for outcome, table in unpack([batch(rows, self.recipe, keep_images=keep_images)], schemas):
            write_part(table.drop_columns(list(drop)), str(self.path / outcome), f"part-{name}.parquet")
