"""Jobs whose engines are scripts, runs of them, and what the runs made."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import load_job
from oasis_ray.run.run import Run
from tests.support.shards import picture, shard

IDS = [
    "good", "good-2", "caption", "poor-caption", "unclear", "impossible", "invented", "garbled", "middling",
    "unreadable", "mute", "long", "broken-image",
]  # fmt: skip
ENDS = {
    "accepted": {"good", "good-2"},
    "captions": {"caption"},
    "rejected": {"poor-caption", "unclear", "impossible", "invented", "garbled", "middling"},
    "failed": {"unreadable", "mute", "long", "broken-image"},
}
REASONS = {
    "poor-caption": ("caption_language", "score_2"),
    "unclear": ("clarity", "score_1"),
    "impossible": ("solvability", "score_1"),
    "invented": ("hallucination", "score_1"),
    "garbled": ("nonsense", "score_1"),
    "middling": ("gate", "solvability_clarity_below_7"),
    "unreadable": ("categorize", "no_kind"),
    "mute": ("clarity", "no_verdict"),
    "long": ("respond", "prompt_over_context"),
    "broken-image": ("admit", "image_truncated"),
}


def write_job(folder: Path, **keys: Any) -> Path:
    """A job file in a folder; keys given are laid over a scripted job."""
    pool = {"backend": "scripted", "model": "script", "script": "tests.support.scripts:oasis", "device": "cpu"}
    job = {
        "recipe": "oasis",
        "input": {"path": str(folder / "shards"), "id": "id"},
        "output": {"path": str(folder / "run")},
        "pools": {"vlm": pool, "llm": pool},
        "max_failed": 1.0,
        "executor": "local",
    } | keys
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    return path


def scripted(name: str) -> dict[str, Any]:
    """Both pools, with this script."""
    pool = {"backend": "scripted", "model": "script", "script": f"tests.support.scripts:{name}"}
    return {"vlm": pool, "llm": pool}


def rows(folder: Path, *names: str) -> None:
    """A shard with these rows."""
    shard(folder / "shards/a.parquet", [{"id": name, "bytes": picture()} for name in names])


def write_kinds(folder: Path, **keys: Any) -> Path:
    """A job in a folder, over two shards with a row of each kind (`IDS`), one of them without a whole picture."""
    made = [{"id": name, "bytes": picture(), "path": f"{name}.png"} for name in IDS]
    made[-1]["bytes"] = picture()[:-60]
    shard(folder / "shards/a.parquet", made[:6])
    shard(folder / "shards/b.parquet", made[6:])
    output = {"path": str(folder / "run"), "rows_per_part": 8}
    return write_job(folder, **{"output": output, "seed": 7, "score_in_full": 0.0, "rows_per_task": 3} | keys)


def rows_of(run: Path, outcome: str) -> list[dict[str, Any]]:
    """All rows of one outcome, by id."""
    files = sorted((run / outcome).glob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return sorted(rows, key=lambda row: row["id"])


def execute(job: Path, *sets: str) -> dict[str, Any]:
    """Run a job file; its manifest."""
    return Run(*load_job(job, SHIPPED, sets)).execute()


def outcomes(run: Path) -> dict[str, list[str]]:
    """The ids by outcome, where there are any."""
    found = {
        outcome: [row["id"] for row in rows_of(run, outcome)]
        for outcome in ("accepted", "captions", "rejected", "failed")
    }
    return {outcome: ids for outcome, ids in found.items() if ids}


def made(run: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of a run by outcome, but for what two runs may differ in: which engine answered, and when."""
    found = {outcome: rows_of(run, outcome) for outcome in ENDS}
    for row in (row for rows in found.values() for row in rows):
        for step in row["lineage"]:
            for name in ("started", "seconds", "engine", "engine_seconds", "cached_tokens"):
                del step[name]
    return found
