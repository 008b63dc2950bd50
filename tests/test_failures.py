"""Each failure that docs/failures.md tells of, caused: what becomes of the rows, and what is said."""

import io
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import filelock
import numpy as np
import PIL.Image
import pyarrow as pa
import pytest
import ray

from benchmarks.chaos import measure
from benchmarks.standing import Standing
from oasis_ray.audit import audit
from oasis_ray.cli import SHIPPED
from oasis_ray.errors import RunError, StoppedError
from oasis_ray.load import Shipped, load_job
from oasis_ray.manifest import read_manifest
from oasis_ray.parts import PartWriter, write_part
from oasis_ray.run import Run
from oasis_ray.sink import PartSink
from oasis_ray.stage import RowStage
from stages.hook import Out as Text
from tests.support.checkout import ROOT
from tests.support.command import COMMAND, call
from tests.support.jobs import execute, fates, rows, rows_of, scripted
from tests.support.shards import shard

JobFile = Callable[..., Path]


def here() -> dict[str, str]:
    """The environment of a run that joins the tests' own cluster: starting one takes longer than the run."""
    return {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}


class Fatal(RowStage[Text, Text]):
    """A step that ends the worker's process on some rows, as a decoder with a fault in it would."""

    def apply(self, row: Text) -> Text:
        if "fatal" in row.text:
            os._exit(1)
        return row


def test_a_row_that_ends_every_engine_ends_in_failed_poison_and_the_rest_goes_on(
    ray_cluster: None, tmp_path: Path, job_file: JobFile
) -> None:
    rows(tmp_path, "good", "poison", "caption", "good-2")
    execute(job_file(pools=scripted("fragile")))
    assert fates(tmp_path / "run") == {"accepted": ["good", "good-2"], "captions": ["caption"], "failed": ["poison"]}
    failed = rows_of(tmp_path / "run", "failed")[0]
    assert (failed["node"], failed["reason"]) == ("categorize", "poison")
    assert failed["error"].startswith("pool 'llm' was lost each time it worked on this row, ")
    assert audit(str(tmp_path / "run")).faults == []


def test_a_row_that_ends_every_worker_ends_in_failed_poison_and_the_rest_goes_on(
    ray_cluster: None, tmp_path: Path, job_file: JobFile
) -> None:
    rows(tmp_path, "good", "fatal", "caption")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        """
name: fatal
nodes:
  - {name: hook, stage: hook, pool: vlm, inputs: {image: source.image}}
  - {name: fatal, stage: fatal, inputs: {text: hook.text, truncated: hook.truncated}}
records:
  accepted: {data_source: fatal, instruction: fatal.text, response: hook.text, scores: {}}
"""
    )
    shipped = Shipped({**SHIPPED.stages, "fatal": Fatal}, SHIPPED.recipes, SHIPPED.prompts)
    path = job_file(recipe=str(recipe), pools={"vlm": scripted("oasis")["vlm"]}, rows_per_task=2)
    Run(*load_job(path, shipped)).execute()
    assert fates(tmp_path / "run") == {"accepted": ["caption", "good"], "failed": ["fatal"]}
    failed = rows_of(tmp_path / "run", "failed")[0]
    assert (failed["node"], failed["reason"]) == ("worker", "poison")


def test_a_run_that_is_told_to_stop_drains_and_goes_on_later(
    ray_cluster: None, tmp_path: Path, job_file: JobFile
) -> None:
    names = [f"good-{n:03d}" for n in range(200)]
    rows(tmp_path, *names)
    folder = {"path": str(tmp_path / "run"), "rows_per_part": 8}
    path = job_file(pools=scripted("slow"), rows_in_flight=16, rows_per_task=4, output=folder)
    driver = subprocess.Popen(
        [*COMMAND, "run", str(path)], cwd=ROOT, env=os.environ | here(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("run/*/part-*")):
        assert driver.poll() is None and time.monotonic() < deadline, driver.communicate()
        time.sleep(0.2)
    driver.send_signal(signal.SIGTERM)
    out, err = driver.communicate(timeout=120)
    assert driver.returncode == 1, out + err
    assert "SIGTERM: the rows in flight come to their ends; once more breaks off at once" in err
    assert f"what has ended is kept in {tmp_path}/run; go on with: oasis-ray run {path}" in err
    assert "StoppedError: the run was told to stop" in err
    manifest = read_manifest(str(tmp_path / "run"))
    done = fates(tmp_path / "run")["accepted"]
    assert (manifest["state"], manifest["sessions"][0]["rows"]) == ("stopped", len(done))
    assert 0 < len(done) < 200
    execute(path, "pools.vlm.script=tests.support.scripts:oasis", "pools.llm.script=tests.support.scripts:oasis")
    assert fates(tmp_path / "run") == {"accepted": names}
    assert audit(str(tmp_path / "run")).faults == []


def test_more_failed_rows_than_the_job_allows_stop_the_run_with_code_3(
    ray_cluster: None, tmp_path: Path, job_file: JobFile
) -> None:
    rows(tmp_path, *(f"unreadable-{n:03d}" for n in range(300)))
    with pytest.raises(StoppedError) as error:
        execute(job_file(pools=scripted("slow"), max_failed=10, rows_in_flight=8, rows_per_task=2))
    assert error.value.exit_code == 3
    assert "rows failed (" in str(error.value)
    assert str(error.value).endswith(" at categorize: no_kind); the job allows max_failed: 10")
    manifest = read_manifest(str(tmp_path / "run"))
    assert manifest["state"] == "stopped"
    assert 10 < manifest["rows"]["failed"] < 300  # those that ended are kept
    assert len(fates(tmp_path / "run")["failed"]) == manifest["rows"]["failed"]


def test_a_run_in_which_nothing_moves_is_ended_with_what_stood_where(
    ray_cluster: None, tmp_path: Path, job_file: JobFile
) -> None:
    rows(tmp_path, "good", "stuck", "caption")
    done = call("run", job_file(pools=scripted("deaf"), no_progress_s=20, drain_s=2, rows_per_task=1), **here())
    assert done.returncode == 1
    assert "StoppedError: nothing has moved for " in done.stderr
    assert "1 rows at hook (pool 'vlm'), the longest 'stuck' for " in done.stderr
    assert "pool 'llm': 1 running; pool 'vlm': 1 running" in done.stderr
    assert "rows in flight did not end within 2 s (drain_s) and are left to do" in done.stdout
    assert read_manifest(str(tmp_path / "run"))["state"] == "stopped"
    execute(job_file())
    assert fates(tmp_path / "run") == {"accepted": ["good", "stuck"], "captions": ["caption"]}


def test_what_ended_before_the_machinery_failed_is_kept(ray_cluster: None, tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, "good", "caption")
    path = job_file(pools={"vlm": scripted("oasis")["vlm"], "llm": scripted("broken")["llm"]})
    with pytest.raises(RunError, match="pool 'llm': OSError: the cable is out"):
        execute(path)
    manifest = read_manifest(str(tmp_path / "run"))
    assert manifest["sessions"][0]["stopped"] == "RunError: pool 'llm': OSError: the cable is out"
    assert execute(job_file())["rows"] == {"accepted": 1, "captions": 1, "rejected": 0, "failed": 0}


def test_failed_rows_are_tried_again_by_reason(ray_cluster: None, tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, "good", "mute", "unreadable")
    execute(job_file())
    assert fates(tmp_path / "run") == {"accepted": ["good"], "failed": ["mute", "unreadable"]}
    done = call("run", job_file(pools=scripted("slow")), "--retry", "failed:no_kind", **here())
    assert done.returncode == 0, done.stderr
    assert "1 failed rows are tried again\ngoing on: 2 of 3 rows had ended before\n" in done.stdout
    assert read_manifest(str(tmp_path / "run"))["sessions"][-1]["rows"] == 1
    wrong = call("run", job_file(), "--retry", "rejected")
    assert (wrong.returncode, wrong.stderr) == (
        2, "JobError: 1 problem:\n  - --retry takes `failed` or `failed:REASON`, not 'rejected'\n"
    )  # fmt: skip


def test_a_change_is_refused_with_a_diff_and_can_be_accepted(
    ray_cluster: None, tmp_path: Path, job_file: JobFile
) -> None:
    rows(tmp_path, "good", "unclear")
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    text = (Path(SHIPPED.prompts) / "clarity.txt").read_text()
    (prompts / "clarity.txt").write_text(text)
    execute(job_file(prompts=str(prompts)))
    next((tmp_path / "run/rejected").glob("*")).unlink()
    (prompts / "clarity.txt").write_text(
        text.replace("is it clear what is wanted", "is it clear what is wanted, really")
    )
    path = job_file(prompts=str(prompts), seed=3)
    refused = call("run", path)
    assert refused.returncode == 2
    assert f"{tmp_path}/run holds a run of another make: prompt 'clarity':" in refused.stderr
    assert "      +You judge a request" in refused.stderr
    assert "holds a run of another make: seed was 0 and is 3" in refused.stderr
    assert "or go on as it is now (--accept-changes)" in refused.stderr
    accepted = call("run", path, "--accept-changes", **here())
    assert accepted.returncode == 0, accepted.stderr
    manifest = read_manifest(str(tmp_path / "run"))
    assert [len(earlier["nodes"]) for earlier in manifest["earlier"]] == [len(manifest["nodes"])]
    assert manifest["earlier"][0]["changes"][-1] == "seed was 0 and is 3"
    assert fates(tmp_path / "run") == {"accepted": ["good"], "rejected": ["unclear"]}
    assert audit(str(tmp_path / "run")).faults == []


def test_a_second_run_on_the_same_folder_is_refused(tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, "good")
    (tmp_path / "run").mkdir()
    with filelock.FileLock(tmp_path / "run/.lock"):
        done = call("run", job_file())
    told = f"RunError: {tmp_path}/run is being worked on by another oasis-ray run; wait for it, or stop it\n"
    assert (done.returncode, done.stderr) == (1, told)


def test_a_full_disk_leaves_no_half_part_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"id": ["a"]})
    write_part(table, str(tmp_path / "accepted"), "part-0.parquet")
    # Where the next part is written first stands a device that is always full.
    (tmp_path / f"accepted/.part-1.parquet.{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        write_part(table, str(tmp_path / "accepted"), "part-1.parquet")
    assert [path.name for path in (tmp_path / "accepted").iterdir()] == ["part-0.parquet"]


def test_a_part_that_is_written_again_takes_the_place_of_all_parts_of_its_task(
    tmp_path: Path, job_file: JobFile
) -> None:
    rows(tmp_path, "x")
    _, recipe = load_job(job_file(), SHIPPED)
    sink = PartSink(PartWriter(str(tmp_path / "run"), recipe, session="s"), rows_per_part=8, rows_per_task=8)
    from oasis_ray.rows import Divert, Route
    from oasis_ray.schema import Ended, packet
    from oasis_ray.sealed import seal
    from oasis_ray.segment import settle

    def ended(route: Route) -> pa.Table:
        row = Ended("a", {"file": "s", "row_group": 0, "row": 0}, None, None)
        return seal(packet([settle(row, "hook", Divert(route, "why"))], recipe, keep_images=False))

    nothing = pa.table({})  # what comes from a read task that found the run draining
    for route in (Route.REJECTED, Route.FAILED):
        sink.write([nothing, ended(route), nothing], SimpleNamespace(task_idx=0))
    assert sink.write([nothing], SimpleNamespace(task_idx=1)) == {}
    assert fates(tmp_path / "run") == {"failed": ["a"]}


@pytest.mark.slow
def test_random_kills_lose_no_row_and_double_none(tmp_path: Path) -> None:
    figures = measure(tmp_path, kills=5, rows=250, seed=1)
    assert {key: figures[key] for key in ("rows_lost", "rows_twice", "rows_called_poison", "audit_faults")} == {
        "rows_lost": 0, "rows_twice": 0, "rows_called_poison": 0, "audit_faults": [],
    }  # fmt: skip


@pytest.mark.slow
def test_pictures_beyond_the_object_store_are_spilled_and_none_is_lost(tmp_path: Path, job_file: JobFile) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1100, 3), np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(noise).save(buffer, "PNG")
    names = [f"good-{n:02d}" for n in range(26)]
    shard(tmp_path / "shards/a.parquet", [{"id": name, "bytes": buffer.getvalue()} for name in names])
    assert len(names) * len(buffer.getvalue()) > 1.1 * 80_000_000
    path = job_file(pools=scripted("oasis"), rows_per_task=2, rows_in_flight=64)
    with Standing("--object-store-memory=80000000") as cluster:
        done = subprocess.run(
            [*COMMAND, "run", str(path)], cwd=ROOT, env=cluster.environment, capture_output=True, text=True, timeout=280
        )
    assert done.returncode == 0, done.stderr
    assert fates(tmp_path / "run") == {"accepted": names}
