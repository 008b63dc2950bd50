"""How many rows a second an export writes, by format.

    python -m benchmarks.export [--rows 200000] [--pictures 3000] [--out FILE]

A run folder of the real schema, written by hand: six rows of ten are accepted, four are captions, with texts of thirty
to a hundred words, in parts of 4,096 rows. Without pictures each format is measured on all rows; with pictures, JPEGs
of 70 kB and all different, on fewer. Each export is a process of its own; a core's rate is rows by the seconds of
processor time that it used, imports left out, and the memory is what it needed beyond them at its peak.
"""

import argparse
import io
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import get_args

import numpy as np
import PIL.Image
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.result import write_result
from oasis_ray.cli import SHIPPED
from oasis_ray.export.options import FormatName
from oasis_ray.job.load import load_job
from oasis_ray.output.manifest import describe, node_digests, write_manifest
from oasis_ray.output.part_writer import write_part
from oasis_ray.output.schema import columns
from oasis_ray.recipe.recipe import Record
from oasis_ray.types import ACCEPTED

DEMO = Path(__file__).parents[1] / "cluster/jobs/demo.yaml"
A_PART, ACCEPTED_SHARE, SIDE_PX = 4_096, 0.6, 300
SPEECH = "the of a red house stands beside two people who carry bags and look at signs near water under tall trees"
MEASURED = """
import json, pathlib, re, sys, time
from oasis_ray.export import card, export as write
from oasis_ray.export.options import read_options
import datasets
folder, out, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
status = pathlib.Path("/proc/self/status")  # getrusage would count the parent's memory in
memory = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) // 1024
started, before = memory(), time.process_time()
made = write.export([folder], out, read_options(**options))
cpu = time.process_time() - before
size = sum(size for _, size in made.files.values())
print(json.dumps([made.rows, made.seconds, cpu, size, memory() - started]))
"""


def make(folder: Path, rows: int, *, pictures: bool) -> None:
    """A run folder of so many rows."""
    job, recipe = load_job(DEMO, SHIPPED)
    draw, noise = random.Random(0), np.random.default_rng(0)
    counts = {ACCEPTED: int(rows * ACCEPTED_SHARE), "captions": rows - int(rows * ACCEPTED_SHARE)}
    for outcome, count in counts.items():
        schema = columns(recipe, outcome)
        for at in range(0, count, A_PART):
            made = [
                _row(f"{outcome}/{n:09d}.jpg", recipe.records[outcome], draw, noise if pictures else None)
                for n in range(at, min(count, at + A_PART))
            ]
            table = pa.Table.from_pylist(made, schema)
            write_part(table, str(folder / outcome), f"part-x-{at:09d}.parquet")
    ended = {outcome: counts.get(outcome, 0) for outcome in recipe.outcomes}
    manifest = describe(job, recipe, node_digests(job, recipe), rows)
    write_manifest(str(folder), {**manifest, "state": "done", "rows": ended, "reasons": [], "moves": [], "cost": {}})


def _row(name: str, record: Record, draw: random.Random, noise: np.random.Generator | None) -> dict[str, object]:
    asked, answered = (" ".join(draw.choices(SPEECH.split(), k=draw.randint(*most))) for most in ((6, 30), (24, 90)))
    data = None
    if noise is not None:
        buffer = io.BytesIO()
        PIL.Image.fromarray(noise.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)).save(buffer, "JPEG", quality=85)
        data = buffer.getvalue()
    return {
        "id": name, "image": {"bytes": data, "path": name}, "data_source": record.data_source, "instruction": asked,
        "response": answered, "image_sha256": f"{draw.getrandbits(256):064x}",
        "conversations": [{"from": "human", "value": f"<image>\n{asked}"}, {"from": "gpt", "value": answered}],
    }  # fmt: skip


def measure(folder: Path, form: str, *, pictures: bool) -> dict[str, float]:
    """One export, in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        options = json.dumps({"format": form, "images": "as-seen" if pictures else "none"})
        command = [sys.executable, "-c", MEASURED, str(folder), f"{scratch}/out", options]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows, seconds, cpu, size, peak = json.loads(said.splitlines()[-1])
    return {
        "rows": rows, "seconds": round(seconds, 1), "rows_per_s": round(rows / seconds),
        "rows_per_s_and_core": round(rows / cpu), "mb_written": round(size / 1e6, 1), "mib_above_start": peak,
    }  # fmt: skip


def main() -> None:
    """Make the runs, export them in every format, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="rows without pictures")
    parser.add_argument("--pictures", type=int, default=3_000, help="rows with pictures")
    parser.add_argument("--out", type=Path, help="the result file (default: benchmarks/results/export-DATE.json)")
    asked = parser.parse_args()
    figures: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for what, rows, pictures in (("texts", asked.rows, False), ("pictures", asked.pictures, True)):
            make(Path(scratch) / what, rows, pictures=pictures)
            figures[what] = {
                form: measure(Path(scratch) / what, form, pictures=pictures) for form in get_args(FormatName)
            }
    for what, formats in figures.items():
        table = Table(what, *next(iter(formats.values())))
        for form, found in formats.items():
            table.add_row(form, *(f"{value:,}" for value in found.values()))
        Console(width=120).print(table)
    command = f"python -m benchmarks.export --rows {asked.rows} --pictures {asked.pictures}"
    write_result("export", figures, command, 0, asked.out)


if __name__ == "__main__":
    main()
