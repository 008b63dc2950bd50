"""Removed rows: rows that ended and are no longer in the input. Their parts are in `removed/<outcome>`.

They do not count as rows of the run, and an export includes them only on request. A row that is in the input again is
restored.
"""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oasis_ray.output.outcomes import outcomes_in
from oasis_ray.output.part_writer import write_part
from oasis_ray.output.parts import parts, read_parts, rewrite

REMOVED = "removed"
RETURNED = "part-returned-"  # prefix of the names of restored parts


def removed_ids(folder: str) -> pa.ChunkedArray:
    """Return the ids of all removed rows of a run."""
    tables = [table for outcome in outcomes_in(folder) for table in read_parts(folder, f"{REMOVED}/{outcome}", ["id"])]
    return pa.chunked_array([chunk for table in tables for chunk in table.column("id").chunks], pa.string())


def remove(folder: str, gone: pa.ChunkedArray) -> None:
    """Move the rows with these ids from the parts to `removed/`. Safe to repeat after an interruption."""
    for outcome in outcomes_in(folder):
        fs, paths = parts(folder, outcome)
        for path in paths:
            _move(fs, folder, path, outcome, f"{REMOVED}/{outcome}", gone, _name(path))


def put_back(folder: str, given: pa.ChunkedArray, ended: pa.ChunkedArray) -> int:
    """Restore removed rows that are in the input again (`given`). Return how many.

    Rows in `ended` have been processed again since; they are only deleted from `removed/`.
    """
    count = 0
    for outcome in outcomes_in(folder):
        fs, paths = parts(folder, f"{REMOVED}/{outcome}")
        for path in paths:
            name = RETURNED + _name(path).removeprefix(RETURNED).removeprefix("part-")
            count += _move(fs, folder, path, f"{REMOVED}/{outcome}", outcome, given, name, but=ended)
    return count


def _move(
    fs: object, folder: str, path: str, source: str, target: str, ids: pa.ChunkedArray, name: str,
    but: pa.ChunkedArray | None = None,
) -> int:  # fmt: skip
    """Move the rows with these ids to another part; those in `but` are only deleted. Return how many were moved."""
    with fs.open(path, "rb") as stream:  # type: ignore[attr-defined]
        held = pq.read_table(stream, columns=["id"]).column("id")
    moves = pc.is_in(held, value_set=pc.unique(ids))
    if not pc.any(moves).as_py():
        return 0
    with fs.open(path, "rb") as stream:  # type: ignore[attr-defined]
        table = pq.read_table(stream)
    kept = moves if but is None else pc.and_(moves, pc.invert(pc.is_in(held, value_set=pc.unique(but))))
    if pc.any(kept).as_py():
        # Before the removal, so that a kill in between loses no row.
        write_part(table.filter(kept), f"{folder.rstrip('/')}/{target}", name)
    rewrite(fs, folder, source, path, pc.invert(moves).combine_chunks())
    return int(pc.sum(kept).as_py() or 0)


def _name(path: str) -> str:
    return path.rpartition("/")[2]
