"""Jobs whose two pools want all GPUs of the tests' cluster each, so that they run in phases."""

import signal
from pathlib import Path
from typing import Any

from oasis_ray.run.local_executor import gpu_count
from tests.support.cluster import GPUS
from tests.support.command import start, until
from tests.support.jobs import IDS, write_job
from tests.support.shards import picture, shard

POOL = {
    "backend": "simulated", "model": "simulated", "script": "tests.support.scripts:oasis", "max_sequences": 8,
    "latency": {"read_tokens_per_s": 1e6, "token_s": 0.02, "image_tokens": 10},
}  # fmt: skip
ALL = gpu_count() or GPUS


def write_shards(folder: Path) -> Path:
    """Four rows of each kind, one of them without a whole picture."""
    rows = [{"id": f"{name}.{copy}", "bytes": picture()} for name in IDS for copy in range(4)]
    rows[-1]["bytes"] = rows[-1]["bytes"][:-60]
    shard(folder / "shards/a.parquet", rows[:30], row_group_size=16)
    shard(folder / "shards/b.parquet", rows[30:])
    return folder / "shards"


def write_phased(folder: Path, shards: Path, **keys: Any) -> Path:
    """A job file in a folder; keys given are laid over a job in phases."""
    pool = POOL | {"device": "gpu", "tensor_parallel": ALL}
    made = {
        "input": {"path": str(shards), "id": "id"}, "output": {"path": str(folder / "run"), "rows_per_part": 8},
        "pools": {"vlm": pool, "llm": pool}, "executor": "ray", "phases": "auto", "score_in_full": 0.5,
        "rows_in_flight": 8, "rows_per_task": 4,
    }  # fmt: skip
    return write_job(folder, **made | keys)


def write_at_once(folder: Path, shards: Path) -> Path:
    """The same job with its pools up at once, in this process, and as fast as that goes."""
    pool = POOL | {"device": "cpu", "latency": {"read_tokens_per_s": 1e6, "token_s": 0.0, "image_tokens": 10}}
    return write_phased(folder, shards, pools={"vlm": pool, "llm": pool}, executor="local", phases="off")


def end_in_a_phase(path: Path, blow: signal.Signals) -> int:
    """Start a job, and send this signal once rows wait for phase 3: the exit code."""
    run = start("run", path)
    until(lambda: list(path.parent.glob("run/phases/3/part-*")), run, patience_s=200)
    run.send_signal(blow)
    run.communicate(timeout=120)
    return int(run.returncode)
