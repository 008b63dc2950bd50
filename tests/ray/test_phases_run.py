"""Runs in phases through real Ray: a cluster all of whose GPUs each of two pools wants. And a pool of two GPU types."""

import re
import signal
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.output.audit import audit
from oasis_ray.output.manifest import read_manifest
from oasis_ray.run.local_executor import gpu_count
from tests.support.cluster import GPUS, Cluster
from tests.support.command import call_here
from tests.support.in_phases import ALL, POOL, end_in_a_phase, write_at_once, write_phased, write_shards
from tests.support.jobs import ENDS, execute, made, rows_of, write_job
from tests.support.shards import picture, shard


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("input"))


@pytest.fixture(scope="module")
def at_once(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The rows of a run whose pools are all up at once."""
    folder = tmp_path_factory.mktemp("once")
    execute(write_at_once(folder, shards))
    return made(folder / "run")


def said(*words: object) -> str:
    """What a command prints that ends well."""
    done = call_here(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_does_not_fit_together_is_loaded_one_after_another_and_makes_the_same_rows(
    ray_cluster: Cluster, shards: Path, at_once: dict[str, Any], tmp_path: Path
) -> None:
    told = said("run", write_phased(tmp_path, shards))
    steps = [line.removesuffix(" …") for line in told.splitlines() if line.startswith("phase ") and line.endswith(" …")]
    assert steps == [
        "phase 1 of 3: vlm: starting the engines",
        "phase 2 of 3: llm: stopping the engines",
        "phase 2 of 3: llm: starting the engines",
        "phase 3 of 3: vlm: stopping the engines",
        "phase 3 of 3: vlm: starting the engines",
    ]
    assert made(tmp_path / "run") == at_once
    assert read_manifest(str(tmp_path / "run"))["sessions"][0]["loads"] == {"vlm": 2, "llm": 1}
    assert audit(str(tmp_path / "run")).faults == []
    assert not (tmp_path / "run/phases").exists()


def test_a_run_that_is_killed_in_a_phase_goes_on_in_it(
    ray_cluster: Cluster, shards: Path, at_once: dict[str, Any], tmp_path: Path
) -> None:
    path = write_phased(tmp_path, shards)
    assert end_in_a_phase(path, signal.SIGKILL) == -signal.SIGKILL
    assert sum(map(len, made(tmp_path / "run").values())) < sum(map(len, at_once.values()))
    again = said("run", path)
    assert re.search(r"resuming: \d+ of 52 rows had ended before, \d+ more wait for a later phase\n", again)
    assert "phase 1 of 3" not in again
    assert made(tmp_path / "run") == at_once
    assert read_manifest(str(tmp_path / "run"))["sessions"][-1]["loads"] == {"vlm": 1, "llm": 1}
    assert audit(str(tmp_path / "run")).faults == []


def test_plan_says_the_phases(ray_cluster: Cluster, shards: Path, tmp_path: Path) -> None:
    path = write_phased(tmp_path, shards)
    assert said("plan", path).endswith(
        f"pool llm: simulated (simulated): 1 engine, each {ALL} x GPU 1{' on one node' if ALL > 1 else ''}\n"
        f"pool vlm: simulated (simulated): 1 engine, each {ALL} x GPU 1{' on one node' if ALL > 1 else ''}\n"
        "the job is valid; not all of its pools fit this cluster at once, so it runs in phases:\n"
        "phase 1 of 3: vlm: hook\n"
        "phase 2 of 3: llm: categorize → nonsense → caption_clean → caption_language → caption_information → "
        "caption_coherence → spoken → pair\n"
        "phase 3 of 3: vlm: hallucination → solvability → clarity → gate → respond\n"
    )
    probed = call_here("plan", path, "--probe", "5")
    assert (probed.returncode, "--probe does not support jobs that run in phases" in probed.stderr) == (2, True)
    assert not (tmp_path / "run-probe").exists()


def test_a_run_uses_the_engines_of_all_types_and_pays_for_their_gpus(ray_cluster: Cluster, tmp_path: Path) -> None:
    if 0 < gpu_count() < GPUS:
        pytest.skip(f"this machine has {gpu_count()} of the {GPUS} GPUs that are wanted")
    shard(tmp_path / "shards/in.parquet", [{"id": f"good.{n}", "bytes": picture()} for n in range(48)])
    types = {"H100": {"replicas": 2, "tensor_parallel": 2}, "A100": {"replicas": 1}}
    pools = {"vlm": {**POOL, "device": "gpu", "gpu_types": types}, "llm": {**POOL, "device": "cpu"}}
    path = write_job(tmp_path, pools=pools, rows_in_flight=16, max_failed=0, executor="ray")
    planned = said("plan", path)
    assert "2 engines, each 2 x GPU 1 (H100) on one node" in planned
    assert "1 engine, each 1 x GPU 1 (A100)" in planned
    said("run", path)
    rows = [row for outcome in ENDS for row in rows_of(tmp_path / "run", outcome)]
    engines = [{step["engine"] for step in row["lineage"] if step["node"] in ("hook", "respond")} for row in rows]
    assert {len(one) for one in engines} == {1}
    assert len(set.union(*engines)) == 3
    (session,) = read_manifest(str(tmp_path / "run"))["sessions"]
    assert session["gpu_seconds"]["vlm"] == pytest.approx(session["engine_seconds"]["vlm"] * 5 / 3, rel=0.05)
    assert session["gpu_seconds"]["llm"] == 0
    assert sum(session["gpu_seconds_of_types"]["vlm"].values()) == pytest.approx(session["gpu_seconds"]["vlm"], abs=0.2)
