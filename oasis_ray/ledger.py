"""The ledger: which rows have ended and how, read from the parts themselves.

There is no second book that could disagree with the data: a row has ended when a part holds it.
"""

from collections.abc import Iterator
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from oasis_ray.job import expand
from oasis_ray.rows import Fate


def parts(folder: str, fate: Fate) -> tuple[Any, list[str]]:
    """The file system of a run folder, and the paths of its parts of one fate."""
    fs, base = fsspec.core.url_to_fs(expand(folder))
    return fs, sorted(fs.glob(f"{base.rstrip('/')}/{fate}/part-*.parquet"))


def read_parts(folder: str, fate: Fate, columns: list[str]) -> Iterator[pa.Table]:
    """These columns of every part of one fate, a table a part."""
    fs, paths = parts(folder, fate)
    for path in paths:
        with fs.open(path, "rb") as stream:
            yield pq.read_table(stream, columns=columns)


def ended_ids(folder: str) -> pa.Array:
    """The ids of all rows that have ended. Reads the id columns alone."""
    chunks = [
        chunk for fate in Fate for table in read_parts(folder, fate, ["id"]) for chunk in table.column("id").chunks
    ]
    return pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())


def sweep(folder: str) -> list[str]:
    """Remove the unfinished files that a killed writer left behind; their names."""
    fs, base = fsspec.core.url_to_fs(expand(folder))
    left = [path for fate in Fate for path in fs.glob(f"{base.rstrip('/')}/{fate}/.part-*")]
    for path in left:
        fs.rm(path)
    return left
