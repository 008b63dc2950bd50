"""Inputs that grow, shrink and move: each row of the input ends once, and removed rows are counted separately."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import JobError
from oasis_ray.export.options import read_options
from oasis_ray.export.selection import choose
from oasis_ray.job.load import load_job
from oasis_ray.output.audit import audit
from oasis_ray.output.manifest import read_manifest
from oasis_ray.output.removed_rows import REMOVED, removed_ids
from oasis_ray.run.run import Run
from tests.support.command import call
from tests.support.jobs import execute, outcomes
from tests.support.shards import picture, shard

JobFile = Callable[..., Path]


def write(folder: Path, name: str, *ids: str) -> Path:
    return shard(folder / f"in/{name}.parquet", [{"id": name, "bytes": picture()} for name in ids])


def run(path: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    """Run a job; return its manifest and notes."""
    execution = Run(*load_job(path, SHIPPED), **options)
    return execution.execute(), execution.notes


@pytest.fixture
def job(tmp_path: Path, job_file: JobFile) -> Path:
    """A job whose ids are derived from the rows' addresses."""
    return job_file(input={"path": str(tmp_path / "in")})


def accepted(tmp_path: Path) -> list[str]:
    return outcomes(tmp_path / "run")["accepted"]


def test_more_shards_for_the_same_run_are_new_rows_and_no_change(tmp_path: Path, job: Path) -> None:
    write(tmp_path, "a/1", "r0", "r1")
    run(job)
    write(tmp_path, "b/2", "r2", "r3", "r4")
    manifest, notes = run(job)
    assert notes == ["3 new rows in the input", "resuming: 2 of 5 rows had ended before"]
    assert (manifest["state"], manifest["input"]["rows"], sum(manifest["rows"].values())) == ("done", 5, 5)
    assert accepted(tmp_path) == ["a/1:0:0", "a/1:0:1", "b/2:0:0", "b/2:0:1", "b/2:0:2"]
    assert audit(str(tmp_path / "run")).faults == []


def test_rows_that_are_gone_are_refused_then_kept_apart_and_left_out_of_exports(tmp_path: Path, job: Path) -> None:
    write(tmp_path, "a", "r0", "r1")
    gone = write(tmp_path, "b", "caption-1", "r2")
    execute(job)
    gone.rename(tmp_path / "b.away")
    with pytest.raises(JobError) as error:
        execute(job)
    assert error.value.problems[0] == (
        f"{tmp_path}/run holds a run that differs from this job: "
        "2 rows that ended are no longer in the input: b:0:0, b:0:1"
    )
    manifest, notes = run(job, accept_changes=True)
    assert notes[1] == f"2 rows that ended are no longer in the input; they are kept in {REMOVED}/"
    assert (manifest["state"], manifest["rows"]["accepted"], manifest["input"]["rows"]) == ("done", 2, 2)
    assert manifest["earlier"][0]["changes"] == ["2 rows that ended are no longer in the input: b:0:0, b:0:1"]
    assert sorted(removed_ids(str(tmp_path / "run")).to_pylist()) == ["b:0:0", "b:0:1"]
    result = audit(str(tmp_path / "run"))
    assert (result.rows, result.faults) == (2, [])
    assert result.notes == ["2 rows that ended are no longer in the input; they are kept in removed/"]
    for removed, expected in ((False, 2), (True, 4)):
        options = read_options("llava", removed=removed)
        assert choose([str(tmp_path / "run")], options).rows.num_rows == expected


def test_rows_that_return_are_restored_and_not_processed_again(tmp_path: Path, job: Path) -> None:
    write(tmp_path, "a", "r0")
    gone = write(tmp_path, "b", "r1", "r2")
    execute(job)
    whole = {name: pq.read_table(path) for path in tmp_path.glob("run/accepted/*") for name in [path.name]}
    gone.rename(tmp_path / "b.away")
    run(job, accept_changes=True)
    (tmp_path / "b.away").rename(gone)
    manifest, notes = run(job)
    assert notes[0] == f"2 rows are in the input again and were restored from {REMOVED}/"
    assert (manifest["state"], manifest["sessions"][-1]["rows"], len(whole)) == ("done", 0, 1)
    assert accepted(tmp_path) == ["a:0:0", "b:0:0", "b:0:1"]
    assert len(removed_ids(str(tmp_path / "run"))) == 0
    assert audit(str(tmp_path / "run")).faults == []


def test_a_move_of_all_shards_keeps_the_ids(tmp_path: Path, job: Path, job_file: JobFile) -> None:
    write(tmp_path, "a/1", "r0")
    write(tmp_path, "2", "r1")
    execute(job)
    (tmp_path / "in").rename(tmp_path / "moved")
    manifest, _ = run(job_file(input={"path": str(tmp_path / "moved")}), accept_changes=True)
    assert (manifest["state"], manifest["sessions"][-1]["rows"]) == ("done", 0)
    assert len(removed_ids(str(tmp_path / "run"))) == 0


def test_a_run_of_an_earlier_version_resumes_with_its_own_names(tmp_path: Path, job: Path) -> None:
    write(tmp_path, "deep/1", "r0", "r1")
    execute(job)
    # As such a run left it: ids are relative to the folder that all files share, and the manifest has no `naming`.
    manifest = read_manifest(str(tmp_path / "run"))
    del manifest["input"]["naming"]
    (part,) = (tmp_path / "run/accepted").iterdir()
    table = pq.read_table(part)
    names = [name.removeprefix("deep/") for name in table["id"].to_pylist()]
    pq.write_table(table.set_column(0, "id", [names]).slice(0, 1), part)
    from oasis_ray.output.manifest import write_manifest

    write_manifest(str(tmp_path / "run"), manifest)
    again, notes = run(job)
    assert notes == ["resuming: 1 of 2 rows had ended before"]
    assert again["input"]["naming"] == "shared"
    assert accepted(tmp_path) == ["1:0:0", "1:0:1"]
    assert audit(str(tmp_path / "run")).faults == []


def test_an_audit_finds_a_row_both_in_parts_and_in_removed(tmp_path: Path, job: Path) -> None:
    write(tmp_path, "a", "r0")
    execute(job)
    (part,) = (tmp_path / "run/accepted").iterdir()
    removed = tmp_path / f"run/{REMOVED}/accepted"
    removed.mkdir(parents=True)
    (removed / part.name).write_bytes(part.read_bytes())
    assert audit(str(tmp_path / "run")).faults == ["1 id both in parts and in removed/: a:0:0"]


def test_an_input_folder_that_contains_runs_does_not_include_their_parts(
    tmp_path: Path, job: Path, job_file: JobFile
) -> None:
    write(tmp_path, "a", "r0", "r1")
    execute(job_file(input={"path": f"{tmp_path}/in/*.parquet"}, output={"path": f"{tmp_path}/in/old"}))
    done = call("run", job_file(input={"path": str(tmp_path / "in")}), PYTHONPATH=str(Path.cwd()))
    assert done.returncode == 0, done.stderr
    assert "input.path: passed over 1 in a run folder (it has a run.json)" in done.stdout
    assert "2 of 2 rows ended: 2 accepted" in done.stdout


def test_the_records_of_a_run_are_input_for_another_and_the_manifest_says_so(
    tmp_path: Path, job: Path, job_file: JobFile
) -> None:
    write(tmp_path, "a", "r0", "r1")
    execute(job)
    given = {"path": f"{tmp_path}/run/accepted", "id": "id"}
    manifest = execute(job_file(input=given, output={"path": f"{tmp_path}/second"}))
    assert manifest["input"]["from_run"] == f"{tmp_path}/run"
    assert outcomes(tmp_path / "second") == {"accepted": ["a:0:0", "a:0:1"]}
