"""A job goes to a cluster with a token, its output and exit code come back, and what is left over can be cleared up."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.standing import Standing, free_port
from oasis_ray.audit import audit
from tests.support.checkout import ROOT
from tests.support.jobs import write_job
from tests.support.shards import picture, shard

TOKEN = "0123456789abcdef" * 4


class Guarded(Standing):
    """A cluster with a dashboard and a token, as one that others can reach."""

    def __init__(self) -> None:
        self.dashboard = free_port()
        self.url = f"http://127.0.0.1:{self.dashboard}"
        words = ("--include-dashboard=true", f"--dashboard-port={self.dashboard}", "--dashboard-host=127.0.0.1")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # as where the environment is activated
        super().__init__(*words, PATH=path, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Guarded]:
    with Guarded() as made:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:  # the dashboard is up some seconds after the cluster
            with suppress(OSError), socket.create_connection(("127.0.0.1", made.dashboard), timeout=1):
                break
            time.sleep(0.5)
        yield made


def oasis(cluster: Guarded, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`oasis-ray WORDS…` as somebody outside the cluster types it."""
    own = {key: value for key, value in cluster.environment.items() if key != "RAY_ADDRESS"}
    command = [sys.executable, "-m", "oasis_ray.cli", *words]
    return subprocess.run(
        command, env=own | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shard(tmp_path / "shards/a.parquet", [{"id": f"r{at}", "bytes": picture()} for at in range(8)])
    write_job(tmp_path)
    return tmp_path


def test_a_job_is_sent_and_followed_to_its_end(cluster: Guarded, folder: Path) -> None:
    job = str(folder / "job.yaml")
    sent = oasis(cluster, "submit", job, "--address", cluster.url, "--working-dir", str(folder), "--set", "seed=7")
    assert sent.returncode == 0, sent.stdout
    assert "submitted as raysubmit_" in sent.stdout
    assert "8 of 8 rows ended: 8 accepted" in sent.stdout
    assert TOKEN not in sent.stdout
    assert audit(str(folder / "run")).faults == []
    name = re.search(r"raysubmit_\w+", sent.stdout)
    assert name is not None
    looked = oasis(cluster, "status", name[0], "--address", cluster.url)
    assert "8 of 8 rows ended: 8 accepted" in looked.stdout
    assert looked.stdout.splitlines()[-1] == f"{name[0]}: succeeded"
    assert "knows no job raysubmit_x" in oasis(cluster, "status", "raysubmit_x", "--address", cluster.url).stdout


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["--address", "http://127.0.0.1:1"], {}, "no cluster answers at http://127.0.0.1:1"),
        ([], {"RAY_AUTH_TOKEN": "f" * 64}, "RAY_AUTH_TOKEN where the cluster asks for one"),
    ],
)
def test_what_keeps_a_job_from_being_sent_is_told(
    words: list[str], environment: dict[str, str], said: str, cluster: Guarded, folder: Path
) -> None:
    given = words or ["--address", cluster.url]
    sent = oasis(cluster, "submit", str(folder / "job.yaml"), "--working-dir", str(folder), *given, **environment)
    assert said in sent.stdout
    assert sent.returncode == 1


def test_a_job_file_elsewhere_is_refused(cluster: Guarded, folder: Path) -> None:
    sent = oasis(cluster, "submit", str(folder / "job.yaml"), "--address", cluster.url, "--working-dir", str(ROOT))
    assert "is not below" in sent.stdout
    assert sent.returncode == 2


def test_engines_of_a_job_that_is_gone_are_ended_and_no_others(cluster: Guarded) -> None:
    for name in ("oasis-0a1b2c3d-vlm", "somebody-elses"):
        code = f"from tests.support.abandoned import leave; leave({name!r})"
        subprocess.run([sys.executable, "-c", code], env=cluster.environment, check=True, capture_output=True)
    cleaned = oasis(cluster, "clean", "--address", cluster.environment["RAY_ADDRESS"])
    assert cleaned.stdout.splitlines()[-1] == "ended oasis-0a1b2c3d-vlm: its job is gone"
    left = "import ray; from ray import serve; ray.init(logging_level=40); print(*serve.status().applications)"
    seen = subprocess.run([sys.executable, "-c", left], env=cluster.environment, capture_output=True, text=True)
    assert seen.stdout.split()[-1] == "somebody-elses"
