"""Rows under way: those that wait in the run folder (`phases/K`) for the engines of a later phase.

A part of them holds what a row is made of so far, without its picture, which is read from its shard again. A row that
has waited more than once stands in several parts; the state that is furthest counts.
"""

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.output.parts import parts, read_parts
from oasis_ray.storage import locate

PHASES = "phases"  # the folder of a run where rows wait for a later phase


def waits(folder: str) -> list[str]:
    """The folders of rows that wait for a later phase: `phases/2`, `phases/3`."""
    fs, base = locate(folder)
    root = f"{base.rstrip('/')}/{PHASES}"
    found = {path[len(root) :].strip("/").partition("/")[0] for path in fs.find(root, maxdepth=2)}
    return [f"{PHASES}/{name}" for name in sorted(found)]


def place_of(phase: int) -> str:
    """The folder of rows that wait for this phase, below the run's."""
    return f"{PHASES}/{phase}"


def read_waiting(folder: str) -> pa.Table:
    """The rows that wait or have waited, the furthest first: their ids, places (nodes by number), and parts."""
    tables = [EMPTY]
    for kind in waits(folder):
        for path, table in zip(parts(folder, kind)[1], read_parts(folder, kind, ["id", "place"]), strict=True):
            name = f"{folder}/{kind}/{path.rpartition('/')[2]}"
            tables.append(table.append_column("part", pa.array([name] * table.num_rows, pa.string())))
    return pa.concat_tables(tables).sort_by([("place", "descending")])


def under_way(folder: str, ended: pa.ChunkedArray) -> int:
    """How many rows wait that have not `ended`."""
    ids = read_waiting(folder).column("id")
    return len(pc.unique(ids.filter(pc.invert(pc.is_in(ids, value_set=ended)))))


EMPTY = pa.schema({"id": pa.string(), "place": pa.int32(), "part": pa.string()}).empty_table()


def clear(folder: str) -> None:
    """Remove all rows that wait."""
    fs, base = locate(folder)
    place = f"{base.rstrip('/')}/{PHASES}"
    if fs.exists(place):
        fs.rm(place, recursive=True)
