"""How long it takes, and how much memory, to know what is left of ten million rows.

    python -m benchmarks.resume [--rows 10000000] [--out FILE]

Shards of 100,000 rows in row groups of 1,000, without images (resuming reads none), and a run folder in which six of
ten rows have ended, in all four outcomes, in parts of the real schema. Measured in its own process: finding the shards
and reading their ids, reading the ids of the parts, and taking the ones from the others.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.result import write_result
from oasis_ray.cli import SHIPPED
from oasis_ray.input.shards import open_shards
from oasis_ray.job.input import Input
from oasis_ray.job.load import load_job
from oasis_ray.output.outcomes import outcomes_in
from oasis_ray.output.repair import repair
from oasis_ray.output.schema import columns

DEMO = Path(__file__).parents[1] / "cluster/jobs/demo.yaml"
A_SHARD, A_GROUP, A_PART = 100_000, 1_000, 4_096
ENDED = 0.6


def make(folder: Path, rows: int) -> None:
    """The shards, and the run folder's parts."""
    (folder / "shards").mkdir()
    for at in range(0, rows, A_SHARD):
        ids = pa.array([f"images/{n:09d}.jpg" for n in range(at, min(rows, at + A_SHARD))])
        pq.write_table(pa.table({"id": ids}), folder / f"shards/{at:09d}.parquet", row_group_size=A_GROUP)
    recipe = load_job(DEMO, SHIPPED)[1]
    schemas = {outcome: columns(recipe, outcome) for outcome in recipe.outcomes}
    for outcome in recipe.outcomes:
        (folder / "run" / outcome).mkdir(parents=True)
    for at in range(0, int(rows * ENDED), A_PART):
        names = [f"images/{n:09d}.jpg" for n in range(at, min(int(rows * ENDED), at + A_PART))]
        for place, outcome in enumerate(recipe.outcomes):
            ids = pa.array(names[place :: len(recipe.outcomes)], pa.string())
            nulls = {field.name: pa.nulls(len(ids), field.type) for field in schemas[outcome]}
            table = pa.table(nulls | {"id": ids}, schema=schemas[outcome])
            pq.write_table(table, folder / f"run/{outcome}/part-x-{at:09d}.parquet", compression="zstd")


def plan(folder: Path) -> dict[str, float]:
    """Seconds, mebibytes and rows of planning once."""
    began = time.monotonic()
    shards = open_shards(Input(path=str(folder / "shards"), id="id", image=None))
    read = time.monotonic()
    ended, _ = repair(str(folder / "run"), outcomes_in(str(folder / "run")))
    mended = time.monotonic()
    left = shards.without(ended)
    done = time.monotonic()
    return {
        "rows": shards.rows,
        "rows_ended": len(ended),
        "rows_left": sum(len(group.todo) for group in left.groups if group.todo is not None),
        "seconds": round(done - began, 1),
        "seconds_input": round(read - began, 1),
        "seconds_parts": round(mended - read, 1),
        "seconds_taking_away": round(done - mended, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Make the folders, plan in a process of its own, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the input")
    parser.add_argument("--out", type=Path, help="the result file (default: benchmarks/results/resume-DATE.json)")
    parser.add_argument("--plan", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.plan:
        print(json.dumps(plan(asked.plan)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        make(Path(scratch), asked.rows)
        command = [sys.executable, "-m", "benchmarks.resume", "--plan", scratch]
        figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        figures["parts"] = len(list(Path(scratch).glob("run/*/*.parquet")))
    table = Table("", "value", title="Planning what is left")
    for name, value in figures.items():
        table.add_row(name, f"{value:,}")
    Console().print(table)
    write_result("resume", figures, f"python -m benchmarks.resume --rows {asked.rows}", None, asked.out)


if __name__ == "__main__":
    main()
