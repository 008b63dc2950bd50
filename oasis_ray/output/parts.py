"""Parts: lists, reads and rewrites the Parquet files of a run."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oasis_ray.output.part_writer import write_part
from oasis_ray.storage import locate

READERS = 8  # threads: reads are small, and an object store has a high latency

T = TypeVar("T")


def parts(folder: str, outcome: str) -> tuple[Any, list[str]]:
    """Return the file system of a run folder, and the paths of its parts of one outcome (or of waiting rows)."""
    fs, files = below(folder, outcome)
    return fs, [path for path, name in files if name.startswith("part-") and name.endswith(".parquet")]


def read_parts(folder: str, outcome: str, columns: list[str], optional: Sequence[str] = ()) -> Iterator[pa.Table]:
    """Yield these columns of the parts of one outcome, one table per part; `optional` ones where a part has them."""
    fs, paths = parts(folder, outcome)
    yield from side_by_side(lambda path: read_part(fs, path, columns, optional), paths)


def rewrite(fs: Any, folder: str, outcome: str, path: str, keep: pa.Array) -> None:
    """Rewrite a part with the rows that `keep` (a boolean mask) selects; remove it if there are none."""
    if not pc.any(keep).as_py():
        fs.rm(path)
        return
    with fs.open(path, "rb") as stream:
        table = pq.read_table(stream)
    write_part(table.filter(keep), f"{folder.rstrip('/')}/{outcome}", path.rsplit("/", 1)[1])


def read_part(fs: Any, path: str, columns: list[str], optional: Sequence[str] = ()) -> pa.Table:
    """Read these columns of one part, and of the `optional` ones those that it has."""
    with fs.open(path, "rb") as stream:
        names = pq.ParquetFile(stream).schema_arrow.names if optional else []
        return pq.read_table(stream, columns=[*columns, *(name for name in optional if name in names)])


def below(folder: str, outcome: str) -> tuple[Any, list[tuple[str, str]]]:
    """Return the file system, and path and name of each file of an outcome.

    Not by a glob: the name of a run folder may contain its special characters, as `runs [1]` does.
    """
    fs, base = locate(folder)
    return fs, [
        (path, path.rpartition("/")[2]) for path in sorted(fs.find(f"{base.rstrip('/')}/{outcome}", maxdepth=1))
    ]


def side_by_side(read: Callable[[str], T], paths: list[str]) -> Iterator[T]:
    """Yield `read(path)` for every path, in order, reading a few paths in parallel."""
    remaining = iter(paths)
    with ThreadPoolExecutor(READERS) as threads:
        while chunk := list(islice(remaining, 8 * READERS)):
            yield from threads.map(read, chunk)
