"""Trace of a run: every request of the selected rows once, with its times, and the request times by node."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oasis_ray.cli import app
from oasis_ray.errors import JobError
from oasis_ray.explore.trace import Waited, waited, write_trace
from tests.support.run_folders import STEP, RunFolder, accepted, failed, rejected

START = 1_700_000_000.0


def step(node: str, started: float, seconds: float, engine_seconds: float, engine: str = "e1") -> dict[str, Any]:
    """A request, `started` seconds after the beginning."""
    times = {"started": START + started, "seconds": seconds, "engine_seconds": engine_seconds}
    return {**STEP, "node": node, "engine": engine, **times}


@pytest.fixture
def run(tmp_path: Path, job_file: Callable[..., Path]) -> Path:
    """Three rows that asked, and one that never did: `a` and `b` at the same time, `c` after both."""
    a, b, c, d = accepted("a"), accepted("b"), rejected("c"), failed("d")
    a.lineage = [step("hook", 0, 2, 1), step("respond", 2, 4, 3)]
    b.lineage = [step("hook", 1, 2, 2, "e2")]
    c.lineage = [step("hook", 10, 1, 0.5)]
    d.lineage = []
    folder = RunFolder(tmp_path / "run", job_file())
    folder.part("one", a, c)
    folder.part("two", b, d)
    return folder.path


def test_the_time_of_requests_is_reported_by_node(run: Path) -> None:
    assert waited(str(run)) == [Waited("hook", 3, 5.0, 3.5), Waited("respond", 1, 4.0, 3.0)]


def test_a_trace_has_a_slice_for_each_row_request_and_engine_and_counts_requests(run: Path, tmp_path: Path) -> None:
    assert write_trace(str(run), str(tmp_path / "trace.json"), 10) == 3
    events = json.loads((tmp_path / "trace.json").read_text())
    slices = [(e["name"], e["tid"], e["ts"], e["dur"]) for e in events if e["ph"] == "X"]
    second = 1_000_000
    assert slices == [
        ("a", 1, 0, 6 * second),
        ("hook", 1, 0, 2 * second),
        ("in the engine", 1, second // 2, second),
        ("respond", 1, 2 * second, 4 * second),
        ("in the engine", 1, 5 * second // 2, 3 * second),
        ("b", 2, second, 2 * second),  # beside `a`, so on a lane of its own
        ("hook", 2, second, 2 * second),
        ("in the engine", 2, second, 2 * second),
        ("c", 1, 10 * second, second),  # lane 1 is free again
        ("hook", 1, 10 * second, second),
        ("in the engine", 1, 10 * second + second // 4, second // 2),
    ]
    about = {"engine": "e1", "prompt_tokens": 9, "cached_tokens": 4, "reply_tokens": 3, "finish": "stop"}
    assert [e["args"] for e in events if e["ph"] == "X"][:2] == [{"outcome": "accepted"}, about]
    counts = [(e["name"], e["ts"] / second, e["args"]["requests"]) for e in events if e["ph"] == "C"]
    assert counts == [
        ("e1", 0.5, 1), ("e2", 1.0, 1), ("e1", 1.5, 0), ("e1", 2.5, 1), ("e2", 3.0, 0), ("e1", 5.5, 0),
        ("e1", 10.25, 1), ("e1", 10.75, 0),
    ]  # fmt: skip


def test_a_trace_of_fewer_rows_is_of_the_middle_of_the_run_and_may_be_compressed(run: Path, tmp_path: Path) -> None:
    assert write_trace(str(run), str(tmp_path / "trace.json.gz"), 1) == 1
    events = json.loads(gzip.decompress((tmp_path / "trace.json.gz").read_bytes()))
    assert [e["name"] for e in events if e["ph"] == "X"] == ["b", "hook", "in the engine"]


def test_status_writes_the_trace_and_shows_where_the_time_went(run: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["status", str(run), "--trace", str(tmp_path / "t.json"), "--rows", "2"])
    assert done.exit_code == 0, done.output
    assert "hook" in done.output
    assert "70.0%" in done.output  # of the hooks' five seconds three and a half were in an engine
    assert f"wrote a trace of 2 rows to {tmp_path / 't.json'}" in done.output.replace("\n", "")


def test_a_run_without_requests_has_no_trace(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    folder = RunFolder(tmp_path / "run", job_file())
    row = failed("d")
    row.lineage = []
    folder.part("one", row)
    with pytest.raises(JobError, match="no row sent a request to an engine"):
        write_trace(str(folder.path), str(tmp_path / "t.json"), 1)
