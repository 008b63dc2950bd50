"""How a session is told to those who can't ask it: progress.json, the log, and `oasis-ray status`."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.cluster.metrics import METRICS, Metrics
from oasis_ray.errors import JobError
from oasis_ray.output.counts import EndedRow, Usage
from oasis_ray.output.manifest import read_manifest
from oasis_ray.pipeline.coordinator_state import CoordinatorState
from oasis_ray.pipeline.snapshot import Event, RowsAtNode, by_node
from oasis_ray.run.event_log import EventLog
from oasis_ray.run.local_executor import LocalExecutor
from oasis_ray.run.progress import Place, Progress, publish, read_progress, write_progress
from oasis_ray.run.progress_reporter import Reporter
from oasis_ray.types import FAILED
from tests.support.command import call_here
from tests.support.jobs import execute
from tests.support.run_folders import RunFolder, accepted, rejected
from tests.support.shards import picture, shard

LINE = {"node": "", "reason": "", "rows": 4, "requests": 8, "reply_tokens": 60, "gpu_seconds": 90.0, "money": 0.06}
BILL = {
    "currency": "EUR", "total": {"gpu_seconds": 120.0, "money": 0.08}, "pools": {}, "nodes": {},
    "lines": [{**LINE, "fate": "accepted"},
              {**LINE, "fate": "rejected", "node": "clarity", "reason": "score_1", "gpu_seconds": 30.0, "money": 0.02}],
}  # fmt: skip


def progress(**keys: Any) -> Progress:
    """A session that works, ten rows of a hundred done."""
    known = {
        "run": "run", "session": "1a2b3c4d", "time": datetime.now(UTC), "every_s": 5, "step": "working", "step_s": 61,
        "input_rows": 100, "rows_before": 20, "rows": {"accepted": 4, "captions": 3, "rejected": 2, "failed": 1},
        "reasons": [{"fate": "failed", "node": "admit", "reason": "image_missing", "rows": 1}],
        "cost": {"hook": Usage(10, 400, 300, 50, 20.0), "respond": Usage(4, 200, 150, 30, 8.0)},
        "in_flight": [Place(node="respond", pool="vlm", rows=16, oldest="a[b]\n\x1b[2J", seconds=3.2)],
        "engines": {"vlm": {"starting": 1, "running": 2, "stopping": 0}}, "gpu_seconds": {"vlm": 120.0},
        "bill": BILL, "rows_per_s": 0.5, "recent_rows_per_s": 2.0, "recent_reply_tokens_per_s": 16.0,
    }  # fmt: skip
    return Progress(**(known | keys))


@pytest.fixture
def run(tmp_path: Path, job_file: Callable[..., Path]) -> Path:
    """A run folder of two rows in parts, whose manifest says that it goes on."""
    folder = RunFolder(tmp_path / "run", job_file())
    folder.part("a", accepted("a"), rejected("b"))
    folder.manifest(state="running")
    return folder.path


def test_progress_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = progress()
    write_progress(str(tmp_path), written)
    assert read_progress(str(tmp_path)) == written
    assert [file.name for file in tmp_path.iterdir()] == ["progress.json"]


def test_progress_says_what_is_left_and_what_it_has_cost() -> None:
    told = progress()
    assert (told.rows_left, told.seconds_left, told.tokens, told.gpu_seconds_per_accepted_row) == (
        70, 35.0, {"prompt": 600, "cached": 450, "reply": 80}, 30.0,
    )  # fmt: skip
    still = progress(rows={}, recent_rows_per_s=0.0)
    assert (still.rows_left, still.seconds_left, still.gpu_seconds_per_accepted_row) == (80, None, None)


@pytest.mark.parametrize(
    ("every_s", "ago_s", "silent"), [(5, 29, False), (5, 31, True), (30, 89, False), (30, 91, True)]
)
def test_a_driver_is_silent_after_half_a_minute_or_three_beats(every_s: float, ago_s: float, silent: bool) -> None:
    told = progress(every_s=every_s, time=datetime.now(UTC) - timedelta(seconds=ago_s))
    assert told.silent is silent


def test_no_driver_has_written(tmp_path: Path) -> None:
    assert read_progress(str(tmp_path)) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"run": "x"}', '{"time": "yesterday"}', "\udcff"])
def test_a_progress_file_that_cannot_be_read_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(JobError, match=r"progress.json can't be read: "):
        read_progress(str(tmp_path))


def test_status_shows_parts_funnel_and_session(run: Path) -> None:
    write_progress(str(run), progress())
    done = call_here("status", run)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[:2] == [
        f"{run}: recipe oasis, running",
        "2 of 10 rows are in part files: 1 accepted, 0 captions, 1 rejected, 0 failed",
    ]
    assert any(line.startswith("clarity ") and "rejected: score_1 1" in line for line in lines)
    assert lines[-9:] == [
        lines[-9],
        "rows       30 of 100 ended; this session: 4 accepted, 3 captions, 2 rejected, 1 failed",
        "pace       2.0 rows/s and 16 tokens/s now, 0.5 rows/s on average; time left: 0:00:35",
        "tokens     600 prompt (75% cached), 80 output",
        "in flight  16 at respond (pool vlm), the oldest 'a[b]\\n\\x1b[2J' for 3 s",
        "engines    vlm: 1 starting, 2 running; 120 GPU-seconds",
        "cost       120.0 GPU-seconds (0.08 EUR) in total, 30.0 GPU-seconds (0.02 EUR) per accepted row, including:",
        "cost         22.5 GPU-seconds (0.015 EUR) for accepted: the row itself",
        "cost         7.5 GPU-seconds (0.005 EUR) for rejected: score_1 at clarity",
    ]
    assert lines[-9].startswith("session 1a2b3c4d: working for 0:01:01, ")


def test_status_says_which_phase_a_run_is_in_and_how_many_rows_have_come_through(run: Path) -> None:
    write_progress(str(run), progress(phase="phase 2 of 3: llm", rows_waiting=40))
    lines = call_here("status", run).stdout.splitlines()
    assert any(line.startswith("session 1a2b3c4d: phase 2 of 3: llm: working for 0:01:01, ") for line in lines)
    assert any(
        line.startswith("rows       30 of 100 ended, 40 waiting for the next phase; this session") for line in lines
    )


@pytest.mark.parametrize("words", [(), ("--watch",)])
def test_status_says_that_the_driver_may_be_dead_and_ends_with_1(words: tuple[str, ...], run: Path) -> None:
    write_progress(str(run), progress(time=datetime.now(UTC) - timedelta(seconds=400)))
    done = call_here("status", run, *words)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("the driver has not reported for 4")
    assert done.stdout.endswith(" s; it may be dead: run the job again to resume\n")


def test_status_of_a_run_that_has_ended_leaves_the_session_out(run: Path) -> None:
    write_progress(str(run), progress(time=datetime.now(UTC) - timedelta(days=1)))
    manifest = read_manifest(str(run))
    (run / "run.json").write_text(json.dumps(manifest | {"state": "done"}))
    for words in ((), ("--watch",)):
        done = call_here("status", run, *words)
        assert (done.returncode, done.stderr, "session" in done.stdout) == (0, "", False)


class Book:
    """A meter that keeps what it is told."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, ...], float] = {}

    def tell(self, name: str, value: float, **labels: str) -> None:
        assert set(labels) == set(METRICS[name][1])
        self.told[name, *labels.values()] = value


def test_every_ended_row_is_counted_once_in_the_metrics() -> None:
    book = Book()
    publish(book.tell, progress(), {"hook", "respond"})
    rows = {key[1:]: value for key, value in book.told.items() if key[0] == "oasis_rows_total"}
    assert rows == {
        ("accepted", "", ""): 4,
        ("captions", "", ""): 3,
        ("rejected", "", ""): 2,
        ("failed", "", ""): 0,
        ("failed", "admit", "image_missing"): 1,
    }
    flying = {key[1:]: value for key, value in book.told.items() if key[0] == "oasis_rows_in_flight"}
    assert flying == {("hook",): 0, ("respond",): 16}


def test_a_meter_refuses_a_metric_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        Metrics(run="r", session="s").record("oasis_row_total", 1)


def lines(folder: Path) -> list[dict[str, Any]]:
    (file,) = (folder / "log").iterdir()
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_log_keeps_the_last_lines_and_counts_what_had_to_go(tmp_path: Path) -> None:
    book = EventLog(str(tmp_path), run="run", session="1a2b", kept=3)
    for place in range(5):
        book.note("row_failed", at=place, row=f"r{place}\n", node=None)
    book.missed(2)
    book.write()
    always = {"run": "run", "session": "1a2b"}
    assert lines(tmp_path) == [
        {"event": "lines_dropped", **always, "lines": 4},
        *(
            {"time": f"1970-01-01T00:00:0{n}.000+00:00", "event": "row_failed", **always, "row": f"r{n}\n"}
            for n in (2, 3, 4)
        ),
    ]


def test_the_watch_keeps_events_until_they_are_fetched_and_may_be_asked_again() -> None:
    watch = CoordinatorState()
    watch.begin(["a", "b"])
    watch.begin(["b"])
    watch.lost("vlm", "a")
    watch.ended(["a"], [EndedRow(FAILED, "respond", "poison", [])], [("a", "respond", "poison")])
    watch.fail("the cable is out")
    watch.drain()
    watch.drain()

    def logged(events: list[Event]) -> list[tuple[int, str, dict[str, str]]]:
        return [(event.number, event.event, dict(event.facts)) for event in events]

    assert logged(watch.events(0)) == [
        (1, "worker_lost", {"row": "b"}),
        (2, "engine_lost", {"row": "a", "pool": "vlm"}),
        (3, "row_failed", {"row": "a", "node": "respond", "reason": "poison"}),
        (4, "error", {"text": "the cable is out"}),
        (5, "draining", {}),
    ]
    assert logged(watch.events(4)) == [(5, "draining", {})]


def test_a_row_that_is_begun_again_after_it_left_has_lost_no_worker() -> None:
    watch = CoordinatorState()
    watch.begin(["a", "b"])
    watch.ended(["a"], [], waiting=1)
    assert watch.begin(["a"]) == []
    assert watch.begin(["b"]) == []
    assert [(event.event, dict(event.facts)) for event in watch.events(0)] == [("worker_lost", {"row": "b"})]


def test_rows_that_stand_at_one_node_in_several_workers_are_one_place() -> None:
    standing = [RowsAtNode("hook", 2, "a", 1.0), RowsAtNode("respond", 4, "b", 2.0), RowsAtNode("hook", 3, "c", 9.0)]
    assert by_node(standing) == [RowsAtNode("hook", 5, "c", 9.0), RowsAtNode("respond", 4, "b", 2.0)]


def test_a_folder_that_cannot_be_written_is_told_once_and_ends_nothing(
    tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    job, recipe = (made := RunFolder(tmp_path / "run", job_file())).job, made.recipe
    (tmp_path / "run/progress.json.new").mkdir()
    notes: list[str] = []
    gpus = dict.fromkeys(job.pools, False)
    with Reporter(job, recipe, "1a2b", LocalExecutor(), gpus=gpus, rows=3, before=0, notes=notes) as beat:
        beat.step("working")
    assert [note.partition(": ")[0] for note in notes] == [
        "progress and event log could not be written; the run continued"
    ]


def test_a_run_leaves_its_progress_and_its_log(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    shard(tmp_path / "shards/a.parquet", [{"id": name, "bytes": picture()} for name in ("good", "mute", "caption")])
    manifest = execute(job_file())
    run = tmp_path / "run"
    (session,) = manifest["sessions"]
    last = read_progress(str(run))
    assert last is not None
    assert (last.run, last.session, last.rows, last.rows_left, last.in_flight) == (
        "run", session["name"], manifest["rows"], 0, (),
    )  # fmt: skip
    assert {node: cost.requests for node, cost in last.cost.items()} == {
        node: cost["requests"] for node, cost in manifest["cost"].items()
    }
    log = lines(run)
    assert {(line["run"], line["session"]) for line in log} == {("run", session["name"])}
    events = [line["event"] for line in log]
    assert (events[0], events[-1]) == ("session_started", "session_ended")
    assert [line["text"] for line in log if line["event"] == "step"] == [
        "starting the engines", "working", "stopping the engines", "finalizing the run",
    ]  # fmt: skip
    assert [(line["row"], line["node"], line["reason"]) for line in log if line["event"] == "row_failed"] == [
        ("mute", "clarity", "no_verdict")
    ]
    assert all(file.stem.split("-")[1] == session["name"] for file in (run / "accepted").glob("*.parquet"))


def test_a_watching_status_tells_until_the_run_ends(run: Path) -> None:
    write_progress(str(run), progress())
    watching = subprocess.Popen(
        [sys.executable, "-m", "oasis_ray.cli", "status", run, "--watch"], stdout=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith("session 1a2b3c4d: working for 0:01:01, ")
    manifest = read_manifest(str(run))
    (run / "run.json").write_text(json.dumps(manifest | {"state": "stopped"}))
    said = watching.communicate(timeout=120)[0]
    assert f"{run}: recipe oasis, stopped\n" in said
    assert watching.returncode == 0
