"""Failures of a cluster that take minutes to cause."""

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image

from benchmarks.local_cluster import LocalCluster
from tests.support.checkout import ROOT
from tests.support.command import COMMAND
from tests.support.jobs import outcomes
from tests.support.shards import shard


def test_pictures_beyond_the_object_store_are_spilled_and_none_is_lost(
    tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1100, 3), np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(noise).save(buffer, "PNG")
    names = [f"good-{n:02d}" for n in range(26)]
    shard(tmp_path / "shards/a.parquet", [{"id": name, "bytes": buffer.getvalue()} for name in names])
    assert len(names) * len(buffer.getvalue()) > 1.1 * 80_000_000
    path = job_file(executor="ray", rows_per_task=2, rows_in_flight=64)
    with LocalCluster("--object-store-memory=80000000") as cluster:
        done = subprocess.run(
            [*COMMAND, "run", str(path)], cwd=ROOT, env=cluster.environment, capture_output=True, text=True, timeout=500
        )
    assert done.returncode == 0, done.stderr
    assert outcomes(tmp_path / "run") == {"accepted": names}
