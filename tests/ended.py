"""A run folder made by hand, for what reads runs: rows of the real schema, without a run."""

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from oasis_ray.job import Job
from oasis_ray.manifest import describe, node_digests, write_manifest
from oasis_ray.recipe import Recipe
from oasis_ray.rows import Fate, Route
from oasis_ray.schema import Ended, columns, packet
from oasis_ray.sink import unpack, write_part
from stages.language import Out as Spoken


def row(name: str, asked: str, answered: str, data: bytes | None = None, **given: Any) -> Ended:
    """A row that ended: accepted, or a caption where its language is given (`said`, and whether that is `sure`)."""
    from hashlib import sha256

    caption = "said" in given
    scores = {axis: SimpleNamespace(score=5) for axis in ("solvability", "clarity", "hallucination", "nonsense")}
    texts = {"categorize": SimpleNamespace(instruction=asked), "respond": SimpleNamespace(text=answered)}
    if caption:
        axes = ("caption_language", "caption_information", "caption_coherence")
        scores = {axis: SimpleNamespace(score=4) for axis in axes}
        spoken = Spoken(given["said"], given.get("sure", True))
        texts = {
            "pair": SimpleNamespace(instruction=asked),
            "caption_clean": SimpleNamespace(text=answered),
            "spoken": spoken,
        }
    return Ended(
        name,
        {"file": "s", "row_group": 0, "row": 0},
        {"bytes": data, "path": given.get("path")} if data else None,
        sha256(data).hexdigest() if data else None,
        route=Route.CAPTION if caption else Route.MAIN,
        origin=given.get("origin"),
        values=texts | scores,
    )


def write_run(
    folder: Path,
    job: Job,
    recipe: Recipe,
    rows: Iterable[Ended],
    *,
    a_part: int = 4,
    drop: tuple[str, ...] = (),
    **keys: Any,
) -> Path:
    """Write rows as a run that is done, in parts of so many; without the columns `drop`, as older runs are."""
    kept = list(rows)
    for at in range(0, len(kept), a_part):
        tables = unpack(
            packet(kept[at : at + a_part], recipe, keep_images=False), {f: columns(recipe, f) for f in Fate}
        )
        for fate, table in tables:
            write_part(table.drop_columns(list(drop)), f"{folder}/{fate}", f"part-x-{at:06d}.parquet")
    ended = {str(fate): sum(row.fate is fate for row in kept) for fate in Fate}
    reasons = [{"fate": "rejected", "node": "gate", "reason": "score_1", "rows": 3}]
    made = describe(job, recipe, node_digests(job, recipe), len(kept))
    write_manifest(str(folder), {**made, "state": "done", "rows": ended, "reasons": reasons, "cost": {}, **keys})
    return folder
