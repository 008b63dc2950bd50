"""Errors are messages, not tracebacks: impossible paths, a file instead of a folder, a closed output pipe."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.command import COMMAND, call
from tests.support.jobs import execute, rows

JobFile = Callable[..., Path]


@pytest.mark.parametrize("verb", ["run", "plan"])
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("{job}", "{job} is a file"),
        ("{job}/x", "{job} is a file"),
        ("/proc/foo", "/proc is not writable"),
        ("/proc/1/foo/bar", "/proc/1 is not writable"),
    ],
)
def test_an_output_that_can_not_be_made_is_a_wrong_job(
    verb: str, path: str, why: str, tmp_path: Path, job_file: JobFile
) -> None:
    rows(tmp_path, "good")
    job = job_file()
    place = path.format(job=job)
    done = call(verb, job, "--set", f"output.path={place}", PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stderr) == (
        2, f"JobError: 1 problem:\n  - output.path: {place} can't be created: {why.format(job=job)}\n",
    )  # fmt: skip


def test_shards_that_can_not_be_made_are_reported(tmp_path: Path) -> None:
    rows(tmp_path, "good")
    done = call("ingest", tmp_path / "shards", "/proc/x")
    message = "JobError: 1 problem:\n  - OUT: /proc/x can't be created: /proc is not writable\n"
    assert (done.returncode, done.stderr) == (2, message)


@pytest.mark.parametrize("verb", ["status", "audit", "browse", "report"])
def test_a_job_file_for_a_run_folder_is_reported_with_its_run(verb: str, tmp_path: Path, job_file: JobFile) -> None:
    job = job_file()
    done = call(verb, job)
    assert done.returncode == 2
    assert f"{job} is a file, not a run folder; if it is a job file, its run folder is {tmp_path}/run" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_folder_that_can_not_be_written_is_reported_before_counting(
    tmp_path: Path, job_file: JobFile
) -> None:
    rows(tmp_path, "good")
    execute(job_file())
    done = call("report", tmp_path / "run", "--out", tmp_path / "job.yaml")
    message = f"JobError: 1 problem:\n  - --out: {tmp_path}/job.yaml can't be created: {tmp_path}/job.yaml is a file\n"
    assert (done.returncode, done.stderr) == (2, message)


def test_a_folder_for_a_job_file_is_reported(tmp_path: Path) -> None:
    done = call("run", tmp_path)
    assert (done.returncode, done.stderr) == (
        2, f"JobError: 1 problem:\n  - {tmp_path} is a folder; name a file in it\n",
    )  # fmt: skip


def test_a_closed_output_pipe_ends_a_command_silently(tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, "good")
    execute(job_file())
    reading = subprocess.Popen(
        [*COMMAND, "status", str(tmp_path / "run")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert reading.stdout is not None
    reading.stdout.close()
    assert reading.stderr is not None
    assert reading.stderr.read() == b""
    assert reading.wait(60) == 1
