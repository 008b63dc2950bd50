"""Checkpoint: unfinished rows that wait in the run folder (`phases/K`) for the engines of a later phase.

Their parts hold the outputs of the nodes so far, without images, which are read from the input again. A row that has
waited more than once occurs in several parts; its latest state counts.
"""

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.output.parts import parts, read_parts
from oasis_ray.storage import locate

PHASES = "phases"  # the folder of waiting rows in a run folder


def waiting_folders(folder: str) -> list[str]:
    """Return the folders of waiting rows, relative to the run folder: `phases/2`, `phases/3`."""
    fs, base = locate(folder)
    root = f"{base.rstrip('/')}/{PHASES}"
    phases = {path[len(root) :].strip("/").partition("/")[0] for path in fs.find(root, maxdepth=2)}
    return [f"{PHASES}/{name}" for name in sorted(phases)]


def waiting_folder(phase: int) -> str:
    """Return the folder of rows that wait for this phase, relative to the run folder."""
    return f"{PHASES}/{phase}"


def read_waiting(folder: str) -> pa.Table:
    """Return all rows that wait or have waited, the latest state first: id, `place` (index of the node) and part."""
    tables = [EMPTY]
    for kind in waiting_folders(folder):
        for path, table in zip(parts(folder, kind)[1], read_parts(folder, kind, ["id", "place"]), strict=True):
            name = f"{folder}/{kind}/{path.rpartition('/')[2]}"
            tables.append(table.append_column("part", pa.array([name] * table.num_rows, pa.string())))
    return pa.concat_tables(tables).sort_by([("place", "descending")])


def count_waiting(folder: str, ended: pa.ChunkedArray) -> int:
    """Count the waiting rows that are not in `ended`."""
    ids = read_waiting(folder).column("id")
    return len(pc.unique(ids.filter(pc.invert(pc.is_in(ids, value_set=ended)))))


EMPTY = pa.schema({"id": pa.string(), "place": pa.int32(), "part": pa.string()}).empty_table()


def clear(folder: str) -> None:
    """Remove all waiting rows."""
    fs, base = locate(folder)
    path = f"{base.rstrip('/')}/{PHASES}"
    if fs.exists(path):
        fs.rm(path, recursive=True)
