"""Does hostile input do harm? The whole job on rows and replies that mean it, and what they came to.

    python -m benchmarks.fuzz [--rows 10000] [--seed 0] [--out FILE]

Every row is hostile in one known way (`hostile/`). Afterwards nothing may have crashed, every row must have ended with
a documented reason, nothing of what lies outside may have been read or written, no special token of a text may be live
in a prompt, and no markup in the report. Then `ingest` takes hostile folders, tars and lists: what was there must be
what was taken and what was passed over by reason. Last, a run asks a server whose replies are hostile. `make fuzz`
prints a table and writes benchmarks/results/fuzz-DATE.json; it ends with code 1 where a figure is not 0.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.hostile.harm import actors, listing, live_markup, live_tokens, lost_workers
from benchmarks.hostile.inputs import FAMILIES, take_in
from benchmarks.hostile.replies import serving
from benchmarks.hostile.rows import MAKERS, SECRET, Hostile, draw, lay, lay_pictures
from benchmarks.result import write_result
from oasis_ray.cli import SHIPPED
from oasis_ray.cluster import connection
from oasis_ray.engine.chat_template import Chat
from oasis_ray.errors import OasisError
from oasis_ray.job.load import load_job
from oasis_ray.output.audit import audit
from oasis_ray.output.outcomes import outcomes_in
from oasis_ray.pipeline.node import NodeRunner
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.recipe.row import Row
from oasis_ray.report.build import make
from oasis_ray.run.run import Run
from oasis_ray.stage import ModelStage
from oasis_ray.stage.signature import build
from oasis_ray.types import FAILED, REJECTED, Image, Request

ROOT = Path(__file__).parents[1]
MUST_BE_0 = ("crashes", "unexplained", "escaped", "lost", "live_tokens", "live_markup")
SOURCES = 50  # of each kind that `ingest` takes
ASKED = 100  # rows about which the hostile server is asked


@dataclass
class Found:
    """What a run of hostile rows came to. The lists name what should not be; `ends` counts kind, outcome and reason."""

    rows: int
    crashes: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    escaped: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    live_tokens: list[str] = field(default_factory=list)
    live_markup: list[str] = field(default_factory=list)
    ends: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    prompts: int = 0
    seconds: float = 0.0

    @property
    def figures(self) -> dict[str, Any]:
        """The numbers, and of each that should be 0 what was seen."""
        counts = {name: len(getattr(self, name)) for name in MUST_BE_0}
        seen = {name: getattr(self, name)[:9] for name in MUST_BE_0 if counts[name]}
        ends: dict[str, dict[str, int]] = {}
        for (kind, outcome, reason), rows in sorted(self.ends.items()):
            ends.setdefault(kind, {})[f"{outcome}: {reason}" if reason else outcome] = rows
        return {
            "rows": self.rows,
            **counts,
            "prompts": self.prompts,
            "seconds": self.seconds,
            "seen": seen,
            "ends": ends,
        }


def fuzz(folder: Path, count: int, seed: int) -> Found:
    """Run the whole job on `count` hostile rows in an empty folder, and look at what is left."""
    found, rows = Found(count), draw(count, seed)
    lay(folder, rows)
    run = Run(*load_job(job_in(folder), SHIPPED))
    connection.join()
    before, known, start = listing(folder), {actor.actor_id for actor in actors()}, time.monotonic()
    try:
        run.execute()
    except OasisError as error:
        found.crashes.append(f"the run stopped: {error}")
    found.seconds = round(time.monotonic() - start, 1)
    found.crashes.extend([*lost_workers(known), *audit(run.folder).faults])
    found.escaped.extend(f"{path} is new or changed" for path, _ in listing(folder) ^ before)
    asked: dict[str, set[Request]] = {"vlm": set(), "llm": set()}
    for outcome, row in ended(Path(run.folder)):
        hostile = rows[int(row["source"]["file"]) + 100 * row["source"]["row_group"] + row["source"]["row"]]
        look(found, hostile, outcome, row)
        for pool, request in requests(run.recipe, row, hostile):
            asked[pool].add(request)
    for pool, each in asked.items():
        found.prompts += len(each)
        found.live_tokens.extend(live_tokens(Chat.load(str(ROOT / "benchmarks/models" / pool)), each))
    report, _ = make([run.folder])
    found.live_markup.extend(live_markup((Path(report) / "index.html").read_text(encoding="utf-8")))
    return found


def fuzz_ingest(found: Found, seed: int, sources: int = SOURCES) -> None:
    """Take in hostile folders, tars and lists, and account for every file and line."""
    for family in FAMILIES:
        for number in range(sources):
            with tempfile.TemporaryDirectory() as scratch:
                ends, harm = take_in(family, Path(scratch).resolve(), Random(f"{seed} {family} {number}"))
            found.lost.extend(harm)
            found.ends.update({(family, "taken" if end == "taken" else "passed over", end): ends[end] for end in ends})


def fuzz_server(found: Found, folder: Path, count: int = ASKED) -> None:
    """Run the recipe on a server whose replies are hostile, and account for every row."""
    lay_pictures(folder / "shards", count)
    with serving() as url:
        pool = {"backend": "openai", "url": url, "model": "m", "tokenizer": str(ROOT / "benchmarks/models/vlm")}
        document = {
            "recipe": "oasis", "executor": "local", "max_failed": 1.0,
            "input": {"path": str(folder / "shards"), "id": "id"}, "output": {"path": str(folder / "run")},
            "pools": dict.fromkeys(("vlm", "llm"), pool | {"request_retries": 0}),
        }  # fmt: skip
        (folder / "job.yaml").write_text(yaml.safe_dump(document))
        run = Run(*load_job(folder / "job.yaml", SHIPPED))
        try:
            run.execute()
        except OasisError as error:
            found.crashes.append(f"the run on a hostile server stopped: {error}")
    found.lost.extend(audit(run.folder).faults)
    for outcome, row in ended(Path(run.folder)):
        explain(found, "server reply", outcome, row)


def job_in(folder: Path) -> Path:
    """A job of the recipe `oasis` over the folder's shards; one judge reads the text column, not the instruction."""
    pool = {"backend": "scripted", "model": "script", "script": "benchmarks.hostile.words:reply", "device": "cpu"}
    path = folder / "job.yaml"
    document = {
        "recipe": "oasis",
        "input": {
            "path": str(folder / "shards"), "id": "id", "repeated_ids": "number", "columns": ["note"],
            "root": str(folder / "images"),
        },
        "output": {"path": str(folder / "run"), "keep_images": True},
        "pools": {"vlm": pool, "llm": pool},
        "nodes": {"nonsense": {"inputs": {"instruction": "source.note"}}},
        "score_in_full": 0.0,
        "max_failed": 1.0,
    }  # fmt: skip
    path.write_text(yaml.safe_dump(document))
    return path


def ended(run: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """All rows of a run, read a few at a time."""
    for outcome in outcomes_in(str(run)):
        for part in sorted(run.glob(f"{outcome}/*.parquet")):
            for batch in pq.ParquetFile(part).iter_batches(batch_size=64):
                for row in batch.to_pylist():
                    yield outcome, row


def look(found: Found, hostile: Hostile, outcome: str, row: Mapping[str, Any]) -> None:
    """Note how a row ended, that its reason is a documented one, and that it holds nothing of what lies outside."""
    reason = explain(found, hostile.kind, outcome, row)
    if SECRET in ((row["image"] or {}).get("bytes") or b"") or (
        hostile.kind.startswith("path") and reason not in ("image_path", "image_missing")
    ):
        found.escaped.append(f"{hostile.path!r} was read")


def explain(found: Found, kind: str, outcome: str, row: Mapping[str, Any]) -> str:
    """Note how a row ended, and that its reason is a documented one; the reason comes out."""
    reason: str = row.get("reason") or ""
    found.ends[kind, outcome, reason] += 1
    if outcome in (REJECTED, FAILED) and not (row["node"] and DOCUMENTED.fullmatch(reason)):
        found.unexplained.append(f"{kind}, {row['id'][:80]!r}: {outcome}, {reason!r} at {row['node']}")
    return reason


def documented() -> re.Pattern[str]:
    """The reasons that docs/run-folder.md lists; it writes the scores as a span."""
    text = (ROOT / "docs/run-folder.md").read_text(encoding="utf-8").partition("### Reasons")[2]
    return re.compile("|".join([*re.findall(r"`([a-z0-9_]+)`", text), "score_[1-5]"]))


DOCUMENTED = documented()


def requests(recipe: Recipe, row: Mapping[str, Any], hostile: Hostile) -> Iterator[tuple[str, Request]]:
    """What the pools were asked about a row, made again from what it left: a request depends on nothing else."""
    note = hostile.note.decode(errors="replace") if isinstance(hostile.note, bytes) else hostile.note
    source = {"image": Image(b"", ""), "note": note}  # whatever the picture, its place in the prompt is the same
    nodes = {node.name: node for node in recipe.nodes}
    values = {name: build(nodes[name].out_type, out) for name, out in row["nodes"].items() if out is not None}
    ended = Row(row["id"], {}, None, None, source=source, values=values)
    for name in dict.fromkeys(step["node"] for step in row["lineage"]):
        node = nodes[name]
        if isinstance(node.stage, ModelStage) and node.pool:
            inputs = NodeRunner(node, None, "", seed=0, priority=0).inputs(ended)
            for request in node.stage.requests(inputs):
                yield node.pool, Request(request.text, request.images, request.speaker)


def main() -> None:
    """Run, print, and write the result."""
    parser = argparse.ArgumentParser(description="Run the whole job on hostile rows and replies.")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="Where the result goes, instead of benchmarks/results/fuzz-DATE.json.")
    asked = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)  # for the workers, which import the script
    with tempfile.TemporaryDirectory() as scratch:
        found = fuzz(Path(scratch).resolve(), asked.rows, asked.seed)
    fuzz_ingest(found, asked.seed)
    with tempfile.TemporaryDirectory() as scratch:
        fuzz_server(found, Path(scratch).resolve())
    figures = found.figures
    table = Table("how hostile", "rows", "how they ended", title=f"{asked.rows} hostile rows", title_justify="left")
    for kind in (*MAKERS, *FAMILIES, "server reply"):
        ends = figures["ends"].get(kind, {})
        table.add_row(kind, str(sum(ends.values())), ", ".join(f"{end} {rows}" for end, rows in ends.items()))
    console = Console()
    console.print(table)
    for name in ("rows", *MUST_BE_0, "prompts", "seconds"):
        console.print(f"{name}: {figures[name]}", highlight=False)
    for name, seen in figures["seen"].items():
        console.print(f"{name}: {seen}", markup=False)
    write_result(
        "fuzz", figures, f"python -m benchmarks.fuzz --rows {asked.rows} --seed {asked.seed}", asked.seed, asked.out
    )
    sys.exit(any(figures[name] for name in MUST_BE_0))


if __name__ == "__main__":
    main()
