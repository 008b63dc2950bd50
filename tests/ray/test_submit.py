"""A job goes to a cluster with a token, its output and exit code come back, and what is left over can be cleared up."""

import os
import re
import subprocess
import sys
from pathlib import Path

from oasis_ray.output.audit import audit
from tests.support.cluster import TOKEN, Cluster
from tests.support.command import COMMAND, call
from tests.support.jobs import rows, write_job

ABANDON = "import ray; from tests.support.abandoned import leave; leave({!r}); ray.shutdown(); leave({!r})"


def outside(cluster: Cluster, *words: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`oasis-ray WORDS… --address …` as somebody outside the cluster types it."""
    own = {key: value for key, value in cluster.environment.items() if key != "RAY_ADDRESS"}
    return subprocess.run(
        [*COMMAND, *map(str, words), "--address", cluster.url],
        env=own | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_a_job_is_sent_and_followed_to_its_end(ray_cluster: Cluster, tmp_path: Path) -> None:
    rows(tmp_path, *(f"r{at}" for at in range(8)))
    job = write_job(tmp_path, executor="ray")
    sent = outside(ray_cluster, "submit", job, "--working-dir", tmp_path, "--set", "seed=7")
    assert sent.returncode == 0, sent.stdout
    assert "submitted as raysubmit_" in sent.stdout
    assert "8 of 8 rows ended: 8 accepted" in sent.stdout
    assert TOKEN not in sent.stdout
    assert audit(str(tmp_path / "run")).faults == []
    name = re.search(r"raysubmit_\w+", sent.stdout)
    assert name is not None
    looked = outside(ray_cluster, "status", name[0])
    assert "8 of 8 rows ended: 8 accepted" in looked.stdout
    assert looked.stdout.splitlines()[-1] == f"{name[0]}: succeeded"
    assert "the cluster has no job raysubmit_x" in outside(ray_cluster, "status", "raysubmit_x").stdout


def test_a_cluster_that_refuses_the_token_is_told(ray_cluster: Cluster, tmp_path: Path) -> None:
    job = write_job(tmp_path, executor="ray")
    sent = outside(ray_cluster, "submit", job, "--working-dir", tmp_path, RAY_AUTH_TOKEN="f" * 64)
    assert "RAY_AUTH_TOKEN if the cluster requires a token" in sent.stdout
    assert sent.returncode == 1


def test_engines_of_a_job_that_is_gone_are_ended_and_no_others(ray_cluster: Cluster) -> None:
    from ray import serve

    code = ABANDON.format("oasis-0a1b2c3d-vlm", "somebody-elses")
    subprocess.run([sys.executable, "-c", code], env=os.environ, check=True, capture_output=True)
    before = set(serve.status().applications)
    cleaned = call("clean", "--address", ray_cluster.environment["RAY_ADDRESS"])
    after = set(serve.status().applications)
    serve.delete("somebody-elses")
    assert "ended oasis-0a1b2c3d-vlm: its job is gone" in cleaned.stdout.splitlines()
    assert before - after == {"oasis-0a1b2c3d-vlm"}
    assert "somebody-elses" in after
