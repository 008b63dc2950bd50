"""The local executor: how engines start and end, what is written when, and what becomes of rows that lose engines."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import FitError, RunError, StoppedError
from oasis_ray.job.load import load_job
from oasis_ray.output.audit import audit
from oasis_ray.output.manifest import read_manifest
from oasis_ray.run.local_executor import LocalExecutor, gpu_count
from oasis_ray.run.run import Run
from tests.support.checkout import ROOT
from tests.support.jobs import execute, outcomes, rows, rows_of, scripted

JobFile = Callable[..., Path]


def pool(script: str, **keys: Any) -> dict[str, Any]:
    return {"backend": "scripted", "model": "script", "script": script, "device": "cpu"} | keys


def with_pool(path: Path, name: str, **keys: Any) -> Run:
    """A run of a job file, a pool of which is changed after the job was loaded, and so checked."""
    job, recipe = load_job(path, SHIPPED)
    changed = {name: job.pools[name].model_copy(update=keys)}
    return Run(job.model_copy(update={"pools": job.pools | changed}), recipe)


def events(run: Path, *names: str) -> list[dict[str, Any]]:
    """The events of these names in a run's logs."""
    lines = [json.loads(line) for file in (run / "log").iterdir() for line in file.read_text().splitlines()]
    return [line for line in lines if line["event"] in names]


def test_a_row_that_loses_every_engine_ends_in_failed_poison_and_the_rest_goes_on(
    tmp_path: Path, job_file: JobFile
) -> None:
    rows(tmp_path, "good", "shaky", "poison", "caption")
    lossy = pool("tests.support.lossy:lossy")
    execute(job_file(pools={"vlm": lossy, "llm": lossy}))
    assert outcomes(tmp_path / "run") == {"accepted": ["good", "shaky"], "captions": ["caption"], "failed": ["poison"]}
    (failed,) = rows_of(tmp_path / "run", "failed")
    assert (failed["node"], failed["reason"]) == ("hook", "poison")
    assert failed["error"].startswith("pool 'vlm' failed every time it processed this row, ")
    assert failed["error"].endswith("lost with poison")
    assert {event["row"] for event in events(tmp_path / "run", "engine_lost")} >= {"poison", "shaky"}
    assert audit(str(tmp_path / "run")).faults == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"script": "tests.nowhere:f"}, "pool 'vlm': script 'tests.nowhere:f' can't be imported: "),
        ({"script": "tests.support.scripts:nothing"}, "pool 'vlm': script 'tests.support.scripts:nothing' can't be "),
    ],
)
def test_an_engine_that_does_not_start_ends_the_run_and_names_the_pool(
    given: dict[str, Any], told: str, tmp_path: Path, job_file: JobFile
) -> None:
    rows(tmp_path, "good")
    with pytest.raises(RunError) as error:
        with_pool(job_file(), "vlm", **given).execute()
    assert str(error.value).startswith(f"the pools did not come up: {told}")
    assert read_manifest(str(tmp_path / "run"))["state"] == "stopped"


def test_an_engine_that_takes_too_long_to_start_ends_the_run(tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, "good")
    run = with_pool(job_file(), "llm", script="tests.support.slow_start:oasis", start_timeout_s=0.5)
    began = time.monotonic()
    with pytest.raises(RunError) as error:
        run.execute()
    assert str(error.value) == "the pools did not come up within start_timeout_s: pool 'llm': 1 starting"
    assert time.monotonic() - began < 4  # the script sleeps for five seconds when it is imported


def test_parts_are_written_as_their_rows_end_and_not_only_at_the_end(tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, *(f"good-{n:02d}" for n in range(40)))
    output = {"path": f"{tmp_path}/run", "rows_per_part": 8}
    path = job_file(pools=scripted("slow"), rows_in_flight=8, rows_per_task=2, output=output)
    run = Run(*load_job(path, SHIPPED))
    thread = threading.Thread(target=run.execute)
    thread.start()
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("run/accepted/part-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    first = {file.name: pq.read_table(file).num_rows for file in tmp_path.glob("run/accepted/part-*")}
    assert thread.is_alive(), "the run had ended before a part was there"
    run.stop()
    thread.join(60)
    assert all(8 <= count < 16 for count in first.values())
    assert read_manifest(str(tmp_path / "run"))["state"] == "stopped"


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
def test_a_run_that_is_broken_off_keeps_what_has_ended(handler: Any, tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, "good", "caption", "stuck")
    path = job_file(pools=scripted("deaf"), no_progress_s=3, drain_s=0.5, rows_per_task=1)
    before = signal.signal(signal.SIGINT, handler)  # a shell has jobs in the background ignore it
    try:
        with pytest.raises(StoppedError, match=r"no progress for \d+ s \(no_progress_s\): 1 row at hook"):
            execute(path)
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert outcomes(tmp_path / "run") == {"accepted": ["good"], "captions": ["caption"]}
    assert execute(job_file())["sessions"][-1]["rows"] == 1
    assert audit(str(tmp_path / "run")).faults == []


def test_a_job_on_gpus_that_are_not_here_does_not_fit_this_machine(tmp_path: Path, job_file: JobFile) -> None:
    if gpu_count():
        pytest.skip("this machine has GPUs")
    rows(tmp_path, "good")
    made = {"backend": "simulated", "model": "m", "script": "tests.support.scripts:oasis", "tensor_parallel": 2}
    with pytest.raises(FitError) as error:
        execute(job_file(pools={"vlm": made, "llm": made | {"device": "cpu"}}))
    (node,) = LocalExecutor().nodes()
    assert str(error.value).splitlines() == [
        "pool 'vlm' needs 1 engine, each 2 x GPU 1 on one node; there is room for 0",
        f"available: {node.name}: CPU {node.resources['CPU']:g}, GPU 0",
    ]


def test_a_session_says_which_executor_it_had_and_that_is_no_change_of_the_job(
    tmp_path: Path, job_file: JobFile
) -> None:
    rows(tmp_path, "good")
    execute(job_file())
    manifest = read_manifest(str(tmp_path / "run"))
    assert [session["executor"] for session in manifest["sessions"]] == ["local"]
    # As a run of an older version, or of the other executor, would have left it.
    manifest["job"].pop("executor")
    (tmp_path / "run/run.json").write_text(json.dumps(manifest))
    assert len(execute(job_file(executor="ray"))["sessions"]) == 2  # nothing is left to do, so no cluster is joined


def test_a_local_run_imports_no_ray(tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, "good", "caption")
    code = (
        "import sys; from oasis_ray.cli import app; app(['run', sys.argv[1]], standalone_mode=False); "
        "print([name for name in sys.modules if name.partition('.')[0] == 'ray'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, job_file()], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr
