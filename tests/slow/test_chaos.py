"""Processes of a run on Ray that are killed at random: engines, workers, writers, drivers."""

from pathlib import Path

from benchmarks.chaos import measure


def test_random_kills_lose_no_row_and_double_none(tmp_path: Path) -> None:
    figures = measure(tmp_path, kills=5, rows=250, seed=1)
    assert {key: figures[key] for key in ("rows_lost", "rows_twice", "rows_called_poison", "audit_faults")} == {
        "rows_lost": 0, "rows_twice": 0, "rows_called_poison": 0, "audit_faults": [],
    }  # fmt: skip
