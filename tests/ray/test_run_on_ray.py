"""Runs on Ray beside runs in this process: the same rows, whichever of them began and whichever went on.

The rules of what becomes of a row are held by tests/run/test_run.py and tests/run/test_failures.py, without Ray.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.errors import RunError
from oasis_ray.output.audit import audit
from oasis_ray.output.manifest import read_manifest
from tests.support.checkout import ROOT
from tests.support.cluster import Cluster
from tests.support.jobs import ENDS, execute, made, rows_of, write_kinds

SCRIPTS = ("pools.vlm.script=tests.support.scripts:", "pools.llm.script=tests.support.scripts:")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a job of 13 rows, each of its own kind, and with its run in this process."""
    folder = tmp_path_factory.mktemp("runs")
    execute(write_kinds(folder))
    return folder


@pytest.fixture(scope="module")
def on_ray(ray_cluster: Cluster, folder: Path) -> Path:
    """The folder of a run of the same job on Ray."""
    execute(folder / "job.yaml", f"output.path={folder}/on-ray", "executor=ray")
    return folder / "on-ray"


def rows_made(run: Path) -> dict[str, Any]:
    """All rows by outcome, once an audit has found no fault."""
    assert audit(str(run)).faults == []
    return made(run)


def shortened(run: Path, copy: Path) -> Path:
    """A copy of a run as it stands when it was stopped: a part is missing, and the manifest does not say `done`."""
    shutil.copytree(run, copy)
    next((copy / "rejected").glob("*")).unlink()
    next((copy / "failed").glob("*")).unlink()
    return copy


def executors(run: Path) -> list[str]:
    return [session["executor"] for session in read_manifest(str(run))["sessions"]]


def test_a_run_on_ray_makes_the_rows_of_a_run_in_this_process(folder: Path, on_ray: Path) -> None:
    rows = rows_made(on_ray)
    assert {outcome: {row["id"] for row in found} for outcome, found in rows.items()} == ENDS
    assert rows == rows_made(folder / "run")
    assert (executors(folder / "run"), executors(on_ray)) == (["local"], ["ray"])
    local, remote = read_manifest(str(folder / "run")), read_manifest(str(on_ray))
    same = ("state", "nodes", "pools", "prompts", "input", "rows", "reasons")
    assert {key: remote[key] for key in same} == {key: local[key] for key in same}


def test_the_pools_end_with_the_run(on_ray: Path) -> None:
    from ray import serve

    (session,) = read_manifest(str(on_ray))["sessions"]
    assert [app for app in serve.status().applications if session["name"] in app] == []


def test_what_began_on_ray_goes_on_in_this_process(folder: Path, on_ray: Path, tmp_path: Path) -> None:
    run = shortened(on_ray, tmp_path / "run")
    execute(folder / "job.yaml", f"output.path={run}")
    assert rows_made(run) == made(on_ray)
    assert executors(run) == ["ray", "local"]


def test_what_began_in_this_process_goes_on_on_ray(folder: Path, on_ray: Path, tmp_path: Path) -> None:
    run = shortened(folder / "run", tmp_path / "run")
    execute(folder / "job.yaml", f"output.path={run}", "executor=ray")
    assert rows_made(run) == made(on_ray)
    assert executors(run) == ["local", "ray"]


def test_an_engine_that_fails_stops_the_run_and_what_had_ended_is_kept(
    ray_cluster: Cluster, folder: Path, tmp_path: Path
) -> None:
    run = shortened(folder / "run", tmp_path / "run")
    kept = {part: part.read_bytes() for part in run.glob("*/part-*")}
    with pytest.raises(RunError) as error:
        execute(folder / "job.yaml", f"output.path={run}", "executor=ray", *(f"{key}broken" for key in SCRIPTS))
    assert str(error.value) == "pool 'vlm': OSError: the cable is out"
    manifest = read_manifest(str(run))
    assert (manifest["state"], manifest["sessions"][-1]["stopped"]) == ("stopped", f"RunError: {error.value}")
    assert {part: part.read_bytes() for part in kept} == kept
    execute(folder / "job.yaml", f"output.path={run}")
    assert rows_made(run) == made(folder / "run")


def test_a_recipe_that_asks_no_model_runs_without_engines(
    ray_cluster: Cluster, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    text = "There are words in this row, and they are the answer too."
    pq.write_table(pa.table({"id": ["a", "b"], "text": [text, ""]}), tmp_path / "texts.parquet")
    given = {"path": str(tmp_path / "texts.parquet"), "id": "id", "image": None, "columns": ["text"]}
    path = job_file(recipe=str(ROOT / "benchmarks/scale/rows.yaml"), input=given, pools={}, executor="ray")
    assert execute(path)["rows"] == {"accepted": 1, "rejected": 1, "failed": 0}
    (row,) = rows_of(tmp_path / "run", "accepted")
    assert (row["id"], row["instruction"], row["lineage"]) == ("a", text, [])
    assert audit(str(tmp_path / "run")).faults == []
