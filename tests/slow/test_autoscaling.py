"""Clusters that grow and shrink: Ray's own autoscaler, nodes that come and go, engines that are simulated."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from oasis_ray.output.audit import audit
from oasis_ray.output.manifest import read_manifest
from tests.support.checkout import ROOT
from tests.support.fake_cloud import HEAD, FakeCloud
from tests.support.shards import picture, shard

SIMULATED = {
    "backend": "simulated", "model": "simulated", "script": "tests.support.scripts:oasis", "device": "gpu", "idle_s": 5,
    "max_sequences": 4, "latency": {"read_tokens_per_s": 1e6, "token_s": 0.02, "image_tokens": 10},
}  # fmt: skip
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeCloud]:
    """A head, and up to two nodes of four GPUs that start when they are asked for."""
    with FakeCloud(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture
def start(cloud: FakeCloud, tmp_path: Path) -> Start:
    """Starts `oasis-ray run` of a job on the cloud: the run is in `tmp_path / name`."""
    shard(tmp_path / "shards/a.parquet", [{"id": f"r{at}", "bytes": picture()} for at in range(60)])

    def begin(name: str, **pools: Any) -> "subprocess.Popen[str]":
        job = {
            "recipe": "oasis",
            "input": {"path": str(tmp_path / "shards"), "id": "id"},
            "output": {"path": str(tmp_path / name), "rows_per_part": 16},
            "pools": {pool: SIMULATED | pools.get(pool, {}) for pool in ("vlm", "llm")},
            "rows_in_flight": 16,
        }
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(job))
        words = [sys.executable, "-m", "oasis_ray.cli", "run", str(tmp_path / f"{name}.yaml")]
        return subprocess.Popen(
            words, env=cloud.environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    return begin


def empty(seen: dict[str, Any]) -> bool:
    """Nothing is left of any run: no node with GPUs, no engine, no reaper."""
    return seen["gpus"] == 0 and not seen["groups"] and not seen["apps"] and not ours(seen)


def ours(seen: dict[str, Any]) -> list[str]:
    return [name for name in seen["actors"] if "oasis" in name]


def ended(run: Path) -> str:
    """How a run stands by its own audit."""
    found = audit(str(run))
    assert found.faults == []
    return str(read_manifest(str(run))["state"])


def test_nodes_come_for_a_run_and_go_with_it(cloud: FakeCloud, start: Start, tmp_path: Path) -> None:
    assert empty(cloud.seen())
    run = start("run", vlm={"tensor_parallel": 4}, llm={"tensor_parallel": 2, "replicas": [0, 1]})
    up = cloud.until(lambda seen: seen["gpus"] == 8)
    assert (up["nodes"], len(up["apps"])) == (3, 2), up
    # Where the driver is: the watch, and an owner for each pool. On the head: the reapers. (Here they are the same.)
    ours = cloud.until(lambda seen: len(seen["ours"]) == 5)["ours"]
    assert ours == [["CoordinatorState", HEAD], *[["Owner", HEAD]] * 2, *[["Reaper", HEAD]] * 2]
    said = run.communicate(timeout=240)[0]
    assert (run.returncode, ended(tmp_path / "run")) == (0, "done"), said
    assert empty(after := cloud.until(empty)), after


def test_an_engine_that_no_node_can_hold_ends_the_run_and_says_so(cloud: FakeCloud, start: Start) -> None:
    run = start("run", llm={"tensor_parallel": 8})
    said = run.communicate(timeout=120)[0]
    assert "FitError: pool 'llm': no node type of this cluster can hold its engine, or all are at max_workers" in said
    assert run.returncode == 4
    assert empty(after := cloud.until(empty)), after


def test_jobs_share_engines_by_name_and_the_last_one_ends_them(cloud: FakeCloud, start: Start, tmp_path: Path) -> None:
    shared = {"shared": "judge"}
    one, other = start("one", llm=shared), start("other", llm=shared)
    both = cloud.until(lambda seen: len(seen["apps"]) == 3)
    assert sorted(app.rpartition("-")[2] for app in both["apps"]) == ["judge", "vlm", "vlm"], both
    one.kill()  # its own engines go; those that the other job uses stay
    assert len((left := cloud.until(lambda seen: len(seen["apps"]) == 2))["apps"]) == 2, left
    said = other.communicate(timeout=240)[0]
    assert (other.returncode, ended(tmp_path / "other")) == (0, "done"), said
    assert empty(after := cloud.until(empty)), after


def test_a_node_that_is_lost_comes_again_and_no_row_is_lost(cloud: FakeCloud, start: Start, tmp_path: Path) -> None:
    run = start("run", vlm={"tensor_parallel": 4}, llm={"tensor_parallel": 4})
    cloud.until(lambda seen: seen["gpus"] == 8)
    assert any((tmp_path / "run").glob("*/part-*")) or cloud.until(lambda _: any((tmp_path / "run").glob("*/part-*")))
    cloud.lose_a_node()
    said = run.communicate(timeout=240)[0]
    assert (run.returncode, ended(tmp_path / "run")) == (0, "done"), said
    assert empty(after := cloud.until(empty)), after
