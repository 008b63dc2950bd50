"""Parts: the Parquet files of a run, listed, read and written again."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oasis_ray.output.part_writer import write_part
from oasis_ray.storage import locate

READERS = 8  # threads: a part's footer and ids are small, and a store is far away

T = TypeVar("T")


def parts(folder: str, outcome: str) -> tuple[Any, list[str]]:
    """The file system of a run folder, and the paths of its parts of one outcome (or of one folder of waiting rows)."""
    fs, files = below(folder, outcome)
    return fs, [path for path, name in files if name.startswith("part-") and name.endswith(".parquet")]


def read_parts(folder: str, outcome: str, columns: list[str]) -> Iterator[pa.Table]:
    """These columns of every part of one outcome, a table a part."""
    fs, paths = parts(folder, outcome)
    yield from side_by_side(lambda path: read_part(fs, path, columns), paths)


def rewrite(fs: Any, folder: str, outcome: str, path: str, keep: pa.Array) -> None:
    """Leave in a part the rows to `keep`; a part without rows is removed."""
    if not pc.any(keep).as_py():
        fs.rm(path)
        return
    with fs.open(path, "rb") as stream:
        table = pq.read_table(stream)
    write_part(table.filter(keep), f"{folder.rstrip('/')}/{outcome}", path.rsplit("/", 1)[1])


def read_part(fs: Any, path: str, columns: list[str]) -> pa.Table:
    """These columns of one part."""
    with fs.open(path, "rb") as stream:
        return pq.read_table(stream, columns=columns)


def below(folder: str, outcome: str) -> tuple[Any, list[tuple[str, str]]]:
    """The file system, and path and name of each file of an outcome. No glob: a run folder may be called `runs [1]`."""
    fs, base = locate(folder)
    return fs, [
        (path, path.rpartition("/")[2]) for path in sorted(fs.find(f"{base.rstrip('/')}/{outcome}", maxdepth=1))
    ]


def side_by_side(read: Callable[[str], T], paths: list[str]) -> Iterator[T]:
    """`read` of every path, in order, a few at a time."""
    waiting = iter(paths)
    with ThreadPoolExecutor(READERS) as threads:
        while some := list(islice(waiting, 8 * READERS)):
            yield from threads.map(read, some)
