"""How much of the engines' own speed is left: the whole service against the same engines driven directly.

floor: one process holds both engines and carries all rows itself; no Ray, no files. service: the project, whole job.
Same pictures, models, requests and seeds; the ratio is of one run on one machine. `make bench` prints a table and
writes benchmarks/results/speed-DATE.json.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import ray
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.result import write_result
from oasis_ray.cli import SHIPPED
from oasis_ray.engine import open_engine
from oasis_ray.load import load_job
from oasis_ray.manifest import node_digests
from oasis_ray.packets import read
from oasis_ray.run import Run
from oasis_ray.segment import Segment
from oasis_ray.source import open_shards

HERE = Path(__file__).parent

COPIES = 1
WINDOW = (0.15, 0.85)  # of the rows: without start-up and without the tail


def job_in(folder: Path) -> Path:
    """A job over the demo's pictures, repeated, in `folder`."""
    engine = {"device": "cpu", "max_context_tokens": 2048, "max_sequences": 64}
    for copy in range(COPIES):
        for shard in sorted(Path("data/demo").glob("*.parquet")):
            (folder / f"shards/{copy}-{shard.name}").parent.mkdir(exist_ok=True)
            (folder / f"shards/{copy}-{shard.name}").symlink_to(shard.resolve())
    job = {
        "recipe": str(HERE / "speed.yaml"),
        "input": {"path": str(folder / "shards")},
        "output": {"path": str(folder / "run")},
        "pools": {name: {"model": f"benchmarks/models/{name}", **engine} for name in ("vlm", "llm")},
        "max_failed": 1.0,
        "rows_in_flight": 64,
    }
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    return path


async def floor(path: Path) -> list[float]:
    """The moments at which rows end, engines driven directly with `rows_in_flight` rows at a time."""
    job, recipe = load_job(path, SHIPPED)
    engines = {name: open_engine(pool, gpus=False) for name, pool in job.pools.items()}
    segment = Segment(job, recipe, engines, node_digests(job, recipe))
    groups = open_shards(job.input).groups
    rows = [row for group in groups for table in read(group, job.input, 8) for row in table.column("rows")[0].as_py()]
    gate, moments = asyncio.Semaphore(job.rows_in_flight), list[float]()

    async def carry(row: dict[str, Any]) -> None:
        async with gate:
            if (await segment.carry(row)).values:
                moments.append(time.monotonic())

    await asyncio.gather(*(carry(row) for row in rows))
    return moments


def service(path: Path) -> tuple[list[float], dict[str, Any]]:
    """The moments at which rows end in the whole service, as its tally sees them, and the run's manifest."""
    run, moments, stop = Run(*load_job(path, SHIPPED)), [], threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            if run.travelling is not None and run.step == "working":
                tally = run.tally()
                ended = tally.rows - tally.fates["failed"]  # the pictures that can't be decoded cost nothing
                moments.extend([time.monotonic()] * (ended - len(moments)))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    manifest = run.execute()
    stop.set()
    thread.join()
    ray.shutdown()
    return moments, manifest


def rate(moments: list[float]) -> float:
    """Rows a second in the middle of a run."""
    first, last = (int(share * (len(moments) - 1)) for share in WINDOW)
    return (last - first) / (moments[last] - moments[first])


def main() -> None:
    """Run both, print, and write the result."""
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        path = job_in(Path(scratch))
        if sys.argv[1:] == ["floor"]:  # in a process of its own, which takes its engines along when it ends
            job = Path(os.environ["OASIS_RAY_JOB"])
            job.with_name("floor.json").write_text(json.dumps(asyncio.run(floor(job))))
            os._exit(0)
        environment = os.environ | {"OASIS_RAY_JOB": str(path)}
        command = [sys.executable, "-m", "benchmarks.speed", "floor"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(command, env=environment, check=True, timeout=600, **quiet)
        direct = json.loads(path.with_name("floor.json").read_text())
        through, manifest = service(path)
    cost = manifest["cost"]
    seen = sum(node["cached_tokens"] for node in cost.values()) / sum(node["prompt_tokens"] for node in cost.values())
    result = {
        "floor_rows_per_s": rate(direct),
        "service_rows_per_s": rate(through),
        "service_over_floor": rate(through) / rate(direct),
        "service_seconds_with_start_up": manifest["sessions"][0]["seconds"],
        "service_seconds_loading": manifest["sessions"][0]["seconds_loading"],
        "rows": len(direct),
        "requests_per_row": len(cost),
        "prompt_tokens_from_cache": seen,
        "versions": manifest["versions"],
    }
    table = Table(title="Service over floor (one run, one machine)", show_header=False)
    for key, value in result.items():
        if isinstance(value, int | float):
            table.add_row(key, f"{value:.3g}")
    console.print(table)
    write_result("speed", result, "make bench", manifest["seed"])


if __name__ == "__main__":
    main()
