"""Texts about a session and a bill: they name the outcomes that the recipe declares, in its order."""

import time
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from oasis_ray.cli import tables
from oasis_ray.cli.run_progress import progress_line
from oasis_ray.cost.bill import Amount, Bill, Line
from oasis_ray.output.counts import Counts
from oasis_ray.run.progress import Progress

OUTCOMES = ("accepted", "verses", "rejected", "failed")


def test_the_line_of_a_run_counts_all_outcomes_of_its_recipe() -> None:
    began = time.monotonic() - 10
    run: Any = SimpleNamespace(
        phase=None, step="working", working_since=began, before=5, rows=25, waiting=0,
        recipe=SimpleNamespace(outcomes=OUTCOMES),
    )  # fmt: skip
    line = progress_line(run, Counts(Counter(accepted=6, verses=4)))
    assert line == (
        "15/25 rows  accepted 6  verses 4  rejected 0  failed 0  1.0 rows/s  0 tokens/s  0:00:10 left"
    )  # fmt: skip


def test_the_state_of_a_session_counts_all_outcomes_of_its_recipe() -> None:
    progress = Progress(
        run="run", session="s", time=datetime.now(UTC), every_s=5.0, step="working", step_s=61.0, input_rows=20,
        rows_before=5, rows=dict(zip(OUTCOMES, (4, 3, 2, 0), strict=True)),
    )  # fmt: skip
    assert tables.session(progress).splitlines() == [
        "session s: working for 0:01:01, 0 s ago",
        "rows       14 of 20 ended; this session: 4 accepted, 3 verses, 2 rejected, 0 failed",
        "tokens     0 prompt (none cached), 0 output",
    ]


def test_a_bill_names_the_outcomes_that_accepted_rows_pay_for() -> None:
    lines = (
        Line(outcome="accepted", node="", reason="", rows=2, gpu_seconds=2.0),
        Line(outcome="verses", node="", reason="", rows=9, gpu_seconds=1.0),
        Line(outcome="rejected", node="tidy", reason="empty", rows=1, gpu_seconds=3.0),
    )
    assert tables.cost(Bill(total=Amount(gpu_seconds=6.0), lines=lines)) == [
        "6.0 GPU-seconds in total, 3.0 GPU-seconds per accepted row, including:",
        "  1.5 GPU-seconds for rejected: empty at tidy",
        "  1.0 GPU-seconds for accepted: the row itself",
        "  0.5 GPU-seconds for verses",
    ]
