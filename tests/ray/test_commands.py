"""The command line where there is a cluster, and where it starts one of its own."""

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from tests.support.checkout import ROOT
from tests.support.cluster import Cluster
from tests.support.command import COMMAND, call_here
from tests.support.jobs import rows

SHIPPED = {"paper": 4, "small": 0}  # the exit code of `plan` where there are five GPUs


@pytest.mark.parametrize("job", SHIPPED)
def test_a_shipped_job_is_right_and_says_what_this_cluster_lacks(
    job: str, ray_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    gpus = ray.cluster_resources()["GPU"]
    if gpus >= 8:
        pytest.skip(f"this machine has the GPUs for {job}")
    monkeypatch.chdir(tmp_path)
    done = call_here("plan", ROOT / f"cluster/jobs/{job}.yaml")
    assert done.returncode == SHIPPED[job]
    assert "input: there are no Parquet files yet at shards/*.parquet (input.path)" in done.stdout
    if job == "small":
        assert "\nthe job is valid and fits this cluster\n" in done.stdout
    else:
        lacking, available = done.stderr.splitlines()[-2:]
        assert lacking.removeprefix("FitError: ") == (
            "pool 'llm' needs 1 engine, each 4 x GPU 1 on one node; there is room for 0"
        )
        assert available.startswith("available: ")
        assert f"CPU 8, GPU {gpus:g} (" in available


def with_mark(mark: str) -> list[str]:
    """The processes of this machine in whose environment there is `mark`."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if mark in process.environ().values():
                found.append(" ".join(process.cmdline()))
    return found


def test_a_run_where_there_is_no_cluster_starts_one_and_leaves_no_process_behind(
    tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    rows(tmp_path, "good", "caption", "unclear")
    mark = uuid4().hex
    alone = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | {"MARK": mark}
    done = subprocess.run(
        [*COMMAND, "run", job_file(executor="ray")],
        cwd=ROOT, env=alone, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "3 of 3 rows ended: 1 accepted, 1 captions, 1 rejected, 0 failed" in done.stdout
    deadline = time.monotonic() + 20
    while with_mark(mark) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert with_mark(mark) == []
