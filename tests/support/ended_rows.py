"""Rows that ended, in the form that exports take them, and a run folder of them."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from oasis_ray.content.stages.language import Out as Spoken

from oasis_ray.recipe.row import Row
from oasis_ray.types import MAIN
from tests.support.run_folders import RunFolder


def row(name: str, asked: str, answered: str, data: bytes | None = None, **given: Any) -> Row:
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
    return Row(
        name,
        {"file": "s", "row_group": 0, "row": 0},
        {"bytes": data, "path": given.get("path")} if data else None,
        sha256(data).hexdigest() if data else None,
        route="caption" if caption else MAIN,
        moves=[{"node": "categorize", "route": "caption", "reason": "caption", "detail": ""}] if caption else [],
        origin=given.get("origin"),
        values=texts | scores,
    )


def write_run(
    folder: Path, job_file: Path, rows: Sequence[Row], *, a_part: int = 4, drop: tuple[str, ...] = (), **keys: Any
) -> Path:
    """Write rows as a run that is done, in parts of so many; without the columns `drop`, as older runs are."""
    run = RunFolder(folder, job_file, len(rows))
    for at in range(0, len(rows), a_part):
        run.part(f"x-{at:06d}", *rows[at : at + a_part], drop=drop)
    of = run.recipe.outcome_of
    ended = {outcome: sum(of(row.route) == outcome for row in rows) for outcome in run.recipe.outcomes}
    reasons = [{"fate": "rejected", "node": "gate", "reason": "score_1", "rows": 3}]
    run.manifest(rows=ended, reasons=reasons, cost={}, **keys)
    return folder
