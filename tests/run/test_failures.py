"""Each failure that docs/failures.md tells of, caused: what becomes of the rows, and what is said.

Runs in this process. Processes of Ray that die are in tests/ray/test_poison.py and tests/slow/.
"""

import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock
import pyarrow as pa
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import JobError, OasisError
from oasis_ray.job.load import load_job
from oasis_ray.output.audit import audit
from oasis_ray.output.manifest import read_manifest
from oasis_ray.output.part_writer import PartWriter, write_part
from oasis_ray.output.record import batch
from oasis_ray.pipeline.walk import settle
from oasis_ray.recipe.row import Row
from oasis_ray.run.run import Run
from oasis_ray.types import FAILED, REJECTED, Divert
from tests.support.command import call_here, start, until
from tests.support.jobs import execute, outcomes, rows, scripted
from tests.support.shards import picture, shard

JobFile = Callable[..., Path]


@dataclass(frozen=True)
class Failure:
    """A job that does not come to its end: with which code, what it says, and the rows that have ended then."""

    pools: dict[str, Any]
    said: str
    ended: Mapping[str, list[str]]
    code: int = 1
    keys: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


LEFT = ("some rows in flight did not finish within 1 s (drain_s); the next session will process them",)
OTHERS = {"accepted": ["good"], "captions": ["caption"], "failed": ["broken-image", "unreadable", "unreadable-2"]}
FAILURES = {
    "a request is never answered": Failure(
        scripted("deaf"),
        r"no progress for \d+ s \(no_progress_s\): 1 row at hook \(pool 'vlm'\), the longest 'stuck' for \d+ "
        r"s\. pool 'llm': 1 running; pool 'vlm': 1 running",
        OTHERS,
        keys={"no_progress_s": 3, "drain_s": 1},
        notes=LEFT,
    ),
    "more failed rows than allowed": Failure(
        scripted("deaf"),
        r"3 of \d rows failed \(2 at categorize: no_kind; 1 at admit: image_missing\); the job allows max_failed: 2",
        OTHERS,
        code=3,
        keys={"max_failed": 2, "drain_s": 1},
        notes=LEFT,
    ),
    "an engine fails": Failure(
        {"vlm": scripted("slow")["vlm"], "llm": scripted("broken")["llm"]},
        "pool 'llm': OSError: the cable is out",
        {"failed": ["broken-image"]},
    ),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_run_that_fails_says_why_keeps_what_has_ended_and_goes_on_later(
    failure: Failure, tmp_path: Path, job_file: JobFile
) -> None:
    names = ("good", "caption", "stuck", "unreadable", "unreadable-2")
    given = [{"id": name, "bytes": picture()} for name in names]
    shard(tmp_path / "shards/a.parquet", [*given, {"id": "broken-image", "bytes": b""}])
    run = Run(*load_job(job_file(pools=failure.pools, rows_per_task=1, **failure.keys), SHIPPED))
    with pytest.raises(OasisError) as error:
        run.execute()
    assert re.fullmatch(failure.said, str(error.value)), error.value
    assert (error.value.exit_code, tuple(run.notes)) == (failure.code, failure.notes)
    assert outcomes(tmp_path / "run") == failure.ended
    manifest = read_manifest(str(tmp_path / "run"))
    assert (manifest["state"], manifest["sessions"][0]["stopped"]) == (
        "stopped", f"{type(error.value).__name__}: {error.value}",
    )  # fmt: skip
    execute(job_file())
    assert outcomes(tmp_path / "run") == OTHERS | {"accepted": ["good", "stuck"]}
    assert audit(str(tmp_path / "run")).faults == []


def test_a_run_beyond_its_limit_of_failed_rows_begins_no_other(tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, *(f"unreadable-{n:03d}" for n in range(300)))
    with pytest.raises(OasisError, match=r" at categorize: no_kind\); the job allows max_failed: 10$"):
        execute(job_file(pools=scripted("slow"), max_failed=10, rows_in_flight=8, rows_per_task=2))
    manifest = read_manifest(str(tmp_path / "run"))
    assert 10 < manifest["rows"]["failed"] < 300
    assert len(outcomes(tmp_path / "run")["failed"]) == manifest["rows"]["failed"]


def test_rows_that_failed_in_earlier_sessions_count_towards_the_limit(tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, *(f"unreadable-{n}" for n in range(8)))
    assert execute(job_file(max_failed=20))["rows"]["failed"] == 8
    more = [{"id": f"unreadable-{n:03d}", "bytes": picture()} for n in range(100, 300)]
    shard(tmp_path / "shards/more.parquet", more)
    with pytest.raises(OasisError, match=r"no_kind\), and 8 in earlier sessions; the job allows max_failed: 10$"):
        execute(job_file(pools=scripted("slow"), max_failed=10, rows_in_flight=2, rows_per_task=1))
    assert read_manifest(str(tmp_path / "run"))["sessions"][-1]["rows"] < 10


@dataclass(frozen=True)
class Blow:
    """Signals that a run gets once it has written a part, and what comes of them: code, state, what is said."""

    signals: tuple[signal.Signals, ...]
    code: int
    state: str
    said: tuple[str, ...] = ()
    script: str = "slow"


DRAINS, KEPT = "draining the rows in flight; a second signal aborts immediately", "rows that have ended are saved in "
TOLD = "StoppedError: the run was asked to stop"
BLOWS = {
    "SIGTERM": Blow((signal.SIGTERM,), 1, "stopped", (f"SIGTERM: {DRAINS}", KEPT, TOLD)),
    "Ctrl-C": Blow((signal.SIGINT,), 1, "stopped", (f"SIGINT: {DRAINS}", KEPT, TOLD)),
    # The row `stuck` would let it drain for two minutes.
    "SIGTERM twice": Blow((signal.SIGTERM, signal.SIGTERM), 1, "stopped", (DRAINS, KEPT), "deaf"),
    "Ctrl-C twice": Blow((signal.SIGINT, signal.SIGINT), 1, "stopped", (DRAINS, KEPT), "deaf"),
    "SIGKILL": Blow((signal.SIGKILL,), -9, "running"),
}


@pytest.mark.parametrize("blow", BLOWS.values(), ids=BLOWS)
def test_a_run_that_gets_a_signal_loses_no_part_and_goes_on_later(
    blow: Blow, tmp_path: Path, job_file: JobFile
) -> None:
    names = [*(f"garbled-{n:02d}" for n in range(60)), "stuck"]
    rows(tmp_path, *names)
    output = {"path": f"{tmp_path}/run", "rows_per_part": 8}
    # With `slow` a row takes a second, and all of them seven.
    path = job_file(pools=scripted(blow.script), rows_in_flight=8, rows_per_task=2, output=output, score_in_full=0.0)
    run = start("run", path)
    until(lambda: list(tmp_path.glob("run/rejected/part-*")), run)
    if blow.script == "deaf":
        time.sleep(1)  # all rows but `stuck` end within milliseconds
    said = []
    for number in blow.signals:
        run.send_signal(number)
        if number != signal.SIGKILL and len(said) + 1 < len(blow.signals):
            assert run.stderr is not None
            said.append(run.stderr.readline())
    out, err = run.communicate(timeout=60)
    told = "".join(said) + err
    assert run.returncode == blow.code, out + told
    assert [text for text in blow.said if text not in told] == []
    if blow.said:
        assert f"{KEPT}{tmp_path}/run; to continue: oasis-ray run {path}" in told
    assert (TOLD in told) == (TOLD in blow.said)
    before, manifest = outcomes(tmp_path / "run"), read_manifest(str(tmp_path / "run"))
    assert manifest["state"] == blow.state
    assert list(before) == ["rejected"]
    assert len(before["rejected"]) >= 8
    if blow.script == "deaf":
        assert before == {"rejected": names[:-1]}  # also those that no part held yet
    parts = {part: part.read_bytes() for part in tmp_path.glob("run/rejected/part-*")}
    execute(path, *(f"pools.{pool}.script=tests.support.scripts:oasis" for pool in ("vlm", "llm")))
    assert {part: part.read_bytes() for part in parts} == parts
    assert outcomes(tmp_path / "run") == {"accepted": ["stuck"], "rejected": names[:-1]}
    assert audit(str(tmp_path / "run")).faults == []


def test_failed_rows_are_tried_again_by_reason(tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, "good", "mute", "unreadable")
    execute(job_file())
    assert outcomes(tmp_path / "run") == {"accepted": ["good"], "failed": ["mute", "unreadable"]}
    done = call_here("run", job_file(), "--retry", "failed:no_kind")
    assert done.returncode == 0, done.stderr
    assert "1 failed row is retried\nresuming: 2 of 3 rows had ended before\n" in done.stdout
    assert read_manifest(str(tmp_path / "run"))["sessions"][-1]["rows"] == 1
    wrong = call_here("run", job_file(), "--retry", "rejected")
    assert (wrong.returncode, wrong.stderr) == (
        2, "JobError: 1 problem:\n  - --retry takes `failed` or `failed:REASON`, not 'rejected'\n"
    )  # fmt: skip


def test_a_change_is_refused_with_a_diff_and_can_be_accepted(tmp_path: Path, job_file: JobFile) -> None:
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
    with pytest.raises(JobError) as refused:
        execute(path)
    prompt, seed, advice = refused.value.problems[-3:]
    assert prompt.startswith(f"{tmp_path}/run holds a run that differs from this job: prompt 'clarity':\n")
    assert "\n      +You judge a request" in prompt
    assert seed == f"{tmp_path}/run holds a run that differs from this job: seed was 0 and is 3"
    assert advice.endswith("or resume it with the changes (--accept-changes)")
    accepted = call_here("run", path, "--accept-changes")
    assert accepted.returncode == 0, accepted.stderr
    manifest = read_manifest(str(tmp_path / "run"))
    assert [len(earlier["nodes"]) for earlier in manifest["earlier"]] == [len(manifest["nodes"])]
    assert manifest["earlier"][0]["changes"][-1] == "seed was 0 and is 3"
    assert outcomes(tmp_path / "run") == {"accepted": ["good"], "rejected": ["unclear"]}
    assert audit(str(tmp_path / "run")).faults == []


def test_a_second_run_on_the_same_folder_is_refused(tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, "good")
    (tmp_path / "run").mkdir()
    with filelock.FileLock(tmp_path / "run/.lock"):
        done = call_here("run", job_file())
    told = f"RunError: {tmp_path}/run is being worked on by another oasis-ray run; wait for it, or stop it\n"
    assert (done.returncode, done.stderr) == (1, told)


def test_a_full_disk_leaves_no_half_part_and_is_told(tmp_path: Path) -> None:
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
    _, recipe = load_job(job_file(), SHIPPED)
    writer = PartWriter(str(tmp_path / "run"), recipe, session="s")
    for route in (REJECTED, FAILED):
        row = Row("a", {"file": "s", "row_group": 0, "row": 0}, None, None)
        writer.write([batch([settle(row, "hook", Divert(route, "why"))], recipe, keep_images=False)], 0)
    assert writer.write([], 1) == {}
    assert outcomes(tmp_path / "run") == {"failed": ["a"]}
