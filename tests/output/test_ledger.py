"""Ledger: the parts are repaired after a killed session, and failed rows can be reopened."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.output.ledger import ended_ids, reopen_failed
from oasis_ray.output.repair import repair

OUTCOMES = ("accepted", "captions", "rejected", "failed")


def part(run: Path, outcome: str, name: str, *ids: str, reasons: str = "") -> Path:
    """Write a part with these ids; `reasons` has one letter per row."""
    table = {"id": pa.array(ids, pa.string())}
    if reasons:
        table["reason"] = pa.array(list(reasons))
    path = run / outcome / f"part-{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path)
    return path


def ids_by_part(run: Path) -> dict[str, list[str]]:
    """The ids in each part."""
    return {
        str(path.relative_to(run)): pq.read_table(path).column("id").to_pylist() for path in sorted(run.rglob("part-*"))
    }


def repaired(run: Path) -> tuple[list[str], list[str]]:
    """Repair a run; return the ids that have ended and the notes."""
    ids, notes = repair(str(run), OUTCOMES)
    return ids.to_pylist(), notes


def test_a_run_without_parts_has_no_ended_rows_and_nothing_to_repair(tmp_path: Path) -> None:
    assert repaired(tmp_path) == ([], [])


def test_an_intact_run_is_not_changed(tmp_path: Path) -> None:
    part(tmp_path, "accepted", "s-0", "a", "b")
    part(tmp_path, "failed", "s-0", "c", reasons="x")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert repaired(tmp_path) == (["a", "b", "c"], [])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert ended_ids(str(tmp_path), OUTCOMES).to_pylist() == ["a", "b", "c"]


def test_a_parquet_file_with_another_name_is_not_a_part(tmp_path: Path) -> None:
    part(tmp_path, "accepted", "s-0", "a")
    pq.write_table(pa.table({"id": ["z"]}), tmp_path / "accepted/notes.parquet")
    assert repaired(tmp_path) == (["a"], [])
    assert ended_ids(str(tmp_path), OUTCOMES).to_pylist() == ["a"]


def test_of_a_row_that_was_written_twice_the_first_is_kept(tmp_path: Path) -> None:
    part(tmp_path, "accepted", "old-0", "a", "b", "b")
    part(tmp_path, "captions", "new-0", "a")
    part(tmp_path, "rejected", "new-0", "c", "b")
    note = "2 rows were written twice; one copy of each is kept: a, b"
    assert repaired(tmp_path) == (["a", "b", "c"], [note])
    assert ids_by_part(tmp_path) == {"accepted/part-old-0.parquet": ["a", "b"], "rejected/part-new-0.parquet": ["c"]}
    assert repaired(tmp_path) == (["a", "b", "c"], [])


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"garbage", None], ids=["empty", "head only", "garbage", "cut off"])
def test_an_unreadable_part_is_quarantined_and_its_rows_are_redone(tmp_path: Path, damage: bytes | None) -> None:
    part(tmp_path, "accepted", "s-0", "a")
    bad = part(tmp_path, "accepted", "s-1", "b")
    bad.write_bytes(bad.read_bytes()[:-20] if damage is None else damage)
    ids, notes = repaired(tmp_path)
    quarantine = tmp_path / "broken/accepted-part-s-1.parquet"
    assert (len(notes), notes[0].startswith("quarantined an unreadable part (")) == (1, True)
    assert notes[0].endswith(f": {quarantine}")
    assert quarantine.exists()
    assert (ids, ended_ids(str(tmp_path), OUTCOMES).to_pylist()) == (["a"], ["a"])


def test_unfinished_files_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    part(tmp_path, "accepted", "s-0", "a")
    (tmp_path / "accepted/.part-s-1.parquet.4711").write_bytes(b"PAR1 and then")
    note = f"removed an unfinished part of an earlier session: {tmp_path}/accepted/.part-s-1.parquet.4711"
    assert repaired(tmp_path) == (["a"], [note])
    assert [path.name for path in (tmp_path / "accepted").iterdir()] == ["part-s-0.parquet"]


@pytest.mark.parametrize(
    ("reason", "count", "left"),
    [
        (None, 4, {}),
        ("x", 2, {"failed/part-s-0.parquet": ["b"], "failed/part-s-1.parquet": ["d"]}),
        ("y", 2, {"failed/part-s-0.parquet": ["a", "c"]}),
        ("z", 0, {"failed/part-s-0.parquet": ["a", "b", "c"], "failed/part-s-1.parquet": ["d"]}),
    ],
)
def test_failed_rows_are_reopened_by_reason(
    tmp_path: Path, reason: str | None, count: int, left: dict[str, list[str]]
) -> None:
    part(tmp_path, "failed", "s-0", "a", "b", "c", reasons="xyx")
    part(tmp_path, "failed", "s-1", "d", reasons="y")
    part(tmp_path, "rejected", "s-0", "e", reasons="x")
    assert reopen_failed(str(tmp_path), reason) == count
    assert ids_by_part(tmp_path) == left | {"rejected/part-s-0.parquet": ["e"]}
