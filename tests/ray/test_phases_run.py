"""Runs in phases through real Ray: a cluster with one GPU, and two pools that each want it."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.standing import Standing
from oasis_ray.audit import audit
from oasis_ray.manifest import read_manifest
from oasis_ray.rows import Fate
from tests.support.checkout import ROOT
from tests.support.jobs import IDS, rows_of
from tests.support.shards import picture, shard

POOL = {
    "backend": "simulated", "model": "simulated", "script": "tests.support.scripts:oasis", "max_sequences": 8,
    "latency": {"read_tokens_per_s": 1e6, "token_s": 0.02, "image_tokens": 10},
}  # fmt: skip


@pytest.fixture(scope="module")
def one_gpu() -> Iterator[Standing]:
    """A cluster that says it has one GPU."""
    with Standing("--num-gpus=1") as cluster:
        yield cluster


def start(cluster: Standing, *words: str | Path) -> "subprocess.Popen[str]":
    """A command on the cluster."""
    return subprocess.Popen(
        [sys.executable, "-m", "oasis_ray.cli", *map(str, words)], cwd=ROOT, env=cluster.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def said(process: "subprocess.Popen[str]", code: int = 0) -> str:
    """What a command printed, once it has ended with this code."""
    text = process.communicate(timeout=280)[0]
    assert process.returncode == code, text
    return text


def made(run: Path) -> dict[str, Any]:
    """All rows of a run by fate, but for what two runs may differ in."""
    found = {str(fate): rows_of(run, fate) for fate in Fate}
    for row in (row for rows in found.values() for row in rows):
        for step in row["lineage"]:
            for name in ("started", "seconds", "engine", "engine_seconds", "cached_tokens"):
                del step[name]
    return found


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four rows of each kind, one of them without a whole picture."""
    folder = tmp_path_factory.mktemp("input")
    rows = [{"id": f"{name}.{copy}", "bytes": picture()} for name in IDS for copy in range(4)]
    rows[-1]["bytes"] = rows[-1]["bytes"][:-60]
    shard(folder / "a.parquet", rows[:30], row_group_size=16)
    shard(folder / "b.parquet", rows[30:])
    return folder


@pytest.fixture(scope="module")
def at_once(one_gpu: Standing, shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The rows of a run whose pools are all up at once."""
    folder = tmp_path_factory.mktemp("once")
    said(start(one_gpu, "run", written(folder, shards, "cpu")))
    return made(folder / "run")


def written(folder: Path, shards: Path, device: str = "gpu", phases: str = "auto") -> Path:
    """A job file in a folder; its two pools want a GPU each, or none."""
    pool = POOL | {"device": device}
    path = folder / "job.yaml"
    path.write_text(
        json.dumps(
            {
                "recipe": "oasis", "input": {"path": str(shards), "id": "id"}, "pools": {"vlm": pool, "llm": pool},
                "output": {"path": str(folder / "run"), "rows_per_part": 8}, "phases": phases, "max_failed": 1.0,
                "score_in_full": 0.5, "rows_in_flight": 8, "rows_per_task": 4,
            }
        )
    )  # fmt: skip
    return path


def test_what_does_not_fit_together_is_loaded_one_after_another_and_makes_the_same_rows(
    one_gpu: Standing, shards: Path, at_once: dict[str, Any], tmp_path: Path
) -> None:
    told = said(start(one_gpu, "run", written(tmp_path, shards)))
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


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_killed_or_stopped_in_a_phase_goes_on_in_it(
    one_gpu: Standing, shards: Path, at_once: dict[str, Any], tmp_path: Path, blow: signal.Signals
) -> None:
    path = written(tmp_path, shards)
    run = start(one_gpu, "run", path)
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("run/phases/3/part-*")):
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()
        time.sleep(0.05)
    run.send_signal(blow)
    said(run, 1 if blow == signal.SIGTERM else -blow)
    assert sum(map(len, made(tmp_path / "run").values())) < sum(map(len, at_once.values()))
    again = said(start(one_gpu, "run", path))
    assert re.search(r"going on: \d+ of 52 rows had ended before, \d+ more wait for a later phase\n", again)
    assert "phase 1 of 3" not in again
    assert made(tmp_path / "run") == at_once
    assert read_manifest(str(tmp_path / "run"))["sessions"][-1]["loads"] == {"vlm": 1, "llm": 1}
    assert audit(str(tmp_path / "run")).faults == []


def test_plan_says_the_phases_and_refuses_what_fits_in_none(one_gpu: Standing, shards: Path, tmp_path: Path) -> None:
    path = written(tmp_path, shards)
    assert said(start(one_gpu, "plan", path)).endswith(
        "the job is right; not all of its pools fit this cluster at once, so it runs in phases:\n"
        "phase 1 of 3: vlm: hook\n"
        "phase 2 of 3: llm: categorize → nonsense → caption_clean → caption_language → caption_information → "
        "caption_coherence → spoken → pair\n"
        "phase 3 of 3: vlm: hallucination → solvability → clarity → gate → respond\n"
    )
    probed = said(start(one_gpu, "plan", path, "--probe", "5"), code=2)
    assert "--probe: this job runs in phases here" in probed
    assert not (tmp_path / "run-probe").exists()
    off = said(start(one_gpu, "plan", path, "--set", "phases=off"), code=4)
    assert "pool 'llm' needs 1 engine, each 1 x GPU 1; there is room for 0" in off
    wide = said(start(one_gpu, "plan", path, "--set", "pools.llm.tensor_parallel=2"), code=4)
    assert "FitError: pool 'llm' needs 1 engine, each 2 x GPU 1 on one node; there is room for 0" in wide
    assert "vlm' needs" not in wide


def test_a_run_uses_the_engines_of_all_types_and_pays_for_their_gpus(one_gpu: Standing, tmp_path: Path) -> None:
    shard(tmp_path / "in.parquet", [{"id": f"good.{n}", "bytes": picture()} for n in range(48)])
    types = {"H100": {"replicas": 2, "tensor_parallel": 2}, "A100": {"replicas": 1}}
    job = {
        "recipe": "oasis", "input": {"path": str(tmp_path / "in.parquet"), "id": "id"},
        "output": {"path": str(tmp_path / "run")}, "rows_in_flight": 16, "max_failed": 0,
        "pools": {"vlm": {**POOL, "device": "gpu", "types": types}, "llm": {**POOL, "device": "cpu"}},
    }  # fmt: skip
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(job))
    planned = said(start(one_gpu, "plan", path))
    assert "2 engines, each 2 x GPU 1 (H100) on one node" in planned
    assert "1 engine, each 1 x GPU 1 (A100)" in planned
    said(start(one_gpu, "run", path))
    rows = [row for fate in Fate for row in rows_of(tmp_path / "run", fate)]
    engines = [{step["engine"] for step in row["lineage"] if step["node"] in ("hook", "respond")} for row in rows]
    assert {len(one) for one in engines} == {1}
    assert len(set.union(*engines)) == 3
    (session,) = read_manifest(str(tmp_path / "run"))["sessions"]
    assert session["gpu_seconds"]["vlm"] == pytest.approx(session["engine_seconds"]["vlm"] * 5 / 3, rel=0.05)
    assert session["gpu_seconds"]["llm"] == 0
    assert sum(session["gpu_seconds_of_types"]["vlm"].values()) == pytest.approx(session["gpu_seconds"]["vlm"], abs=0.2)
