"""The ledger: which rows have ended and how, read from the parts themselves.

There is no second book that could disagree with the data: a row has ended when a part holds it. What a killed session
may have left behind is put right when the next one begins: see `mend`.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oasis_ray.ids import repeated, some
from oasis_ray.parts import write_part
from oasis_ray.rows import Fate
from oasis_ray.storage import locate, make_folder
from oasis_ray.tally import SENT_AWAY, SUMS, Cost, End, Tally

READERS = 8  # threads: a part's footer and ids are small, and a store is far away
BROKEN = "broken"  # the folder of a run where unreadable parts are set aside
PHASES = "phases"  # the folder of a run where rows wait for a later phase

T = TypeVar("T")


def parts(folder: str, fate: str) -> tuple[Any, list[str]]:
    """The file system of a run folder, and the paths of its parts of one fate (or of one folder of waiting rows)."""
    fs, files = _below(folder, fate)
    return fs, [path for path, name in files if name.startswith("part-") and name.endswith(".parquet")]


def read_parts(folder: str, fate: str, columns: list[str]) -> Iterator[pa.Table]:
    """These columns of every part of one fate, a table a part."""
    fs, paths = parts(folder, fate)
    yield from _side_by_side(lambda path: _read(fs, path, columns), paths)


def waits(folder: str) -> list[str]:
    """The folders of rows that wait for a later phase: `phases/2`, `phases/3`."""
    fs, base = locate(folder)
    root = f"{base.rstrip('/')}/{PHASES}"
    found = {path[len(root) :].strip("/").partition("/")[0] for path in fs.find(root, maxdepth=2)}
    return [f"{PHASES}/{name}" for name in sorted(found)]


def ended_ids(folder: str) -> pa.ChunkedArray:
    """The ids of all rows that have ended. Reads the id columns alone."""
    chunks = [
        chunk for fate in Fate for table in read_parts(folder, fate, ["id"]) for chunk in table.column("id").chunks
    ]
    return pa.chunked_array(chunks, pa.string())


def tally_of(folder: str) -> Tally:
    """The tally of what a run folder holds."""
    tally = Tally()
    for fate in Fate:
        ends = ["node", "reason"] if fate in SENT_AWAY else []
        for table in read_parts(folder, fate, ["lineage", *ends]):
            tally.fates[str(fate)] += table.num_rows
            if ends:
                for place in table.group_by(ends).aggregate([([], "count_all")]).to_pylist():
                    tally.reasons[str(fate), place["node"] or "", place["reason"]] += place["count_all"]
            lineage = table.column("lineage").combine_chunks()
            steps = pa.Table.from_struct_array(lineage.flatten()).rename_columns({"node": "asked"})
            rows = pc.list_parent_indices(lineage)
            for name in ends:
                steps = steps.append_column(name, table.column(name).combine_chunks().take(rows))
            sums = [([], "count_all"), *((name, "sum") for name in SUMS)]
            for one in steps.group_by(["asked", *ends]).aggregate(sums).to_pylist():
                found = Cost(one["count_all"], *(one[f"{name}_sum"] for name in SUMS))
                end = End(str(fate), *(one[name] or "" for name in ends))
                tally.cost(end, one["asked"]).merge(found)
    return tally


def mend(folder: str) -> tuple[pa.ChunkedArray, list[str]]:
    """Put right what a killed session left behind: the ids of all rows that have ended, and what was done, a line each.

    Unfinished files are removed. A part that can't be read is set aside, and its rows are to do again. Of a row that
    stands in two parts (a write task of the old session that outlived its driver) the first is kept.
    """
    kinds = (*Fate, *waits(folder))
    told = [f"removed an unfinished part of an earlier session: {file}" for file in _sweep(folder, kinds)]
    held: list[tuple[Fate, str, pa.ChunkedArray]] = []
    for fate in kinds:
        fs, paths = parts(folder, fate)
        for path, ids in zip(paths, _side_by_side(lambda path: _ids_or_fault(fs, path), paths), strict=True):  # noqa: B023
            if isinstance(ids, str):
                told.append(f"set aside a part that can't be read ({ids}): {_set_aside(fs, folder, fate, path)}")
            elif isinstance(fate, Fate):  # of a row that waits twice the state that is further counts
                held.append((fate, path, ids))
    ended = pa.chunked_array([chunk for *_, ids in held for chunk in ids.chunks], pa.string())
    twice = set(repeated(ended).to_pylist())
    if twice:
        told.append(f"{len(twice)} rows had been written twice; one of each is kept: {some(sorted(twice))}")
        _keep_first(folder, held, twice)
        ended = ended_ids(folder)
    return ended, told


def take_back(folder: str, reason: str | None) -> int:
    """Take the failed rows, or those with this reason, out of the parts, so that they are to do again; how many."""
    fs, paths = parts(folder, Fate.FAILED)
    count = 0
    for path in paths:
        reasons = _read(fs, path, ["reason"]).column("reason")
        keep = pc.fill_null(pc.not_equal(reasons, reason), True) if reason else pa.array([False] * len(reasons))
        gone = len(reasons) - pc.sum(keep).as_py() if len(reasons) else 0
        if gone:
            rewrite(fs, folder, Fate.FAILED, path, keep)
            count += gone
    return count


def _keep_first(folder: str, held: list[tuple[Fate, str, pa.ChunkedArray]], twice: set[str]) -> None:
    seen: set[str] = set()
    for fate, path, ids in held:
        keep = []
        for name in ids.to_pylist() if pc.any(pc.is_in(ids, pa.array(list(twice)))).as_py() else ():
            keep.append(name not in seen)
            seen.update({name} & twice)
        if not all(keep):
            rewrite(parts(folder, fate)[0], folder, fate, path, pa.array(keep))


def rewrite(fs: Any, folder: str, fate: str, path: str, keep: pa.Array) -> None:
    """Leave in a part the rows to `keep`; a part without rows is removed."""
    if not pc.any(keep).as_py():
        fs.rm(path)
        return
    with fs.open(path, "rb") as stream:
        table = pq.read_table(stream)
    write_part(table.filter(keep), f"{folder.rstrip('/')}/{fate}", path.rsplit("/", 1)[1])


def _set_aside(fs: Any, folder: str, fate: str, path: str) -> str:
    _, base = locate(folder)
    place = f"{base.rstrip('/')}/{BROKEN}/{fate}-{path.rsplit('/', 1)[1]}"
    make_folder(fs, place.rsplit("/", 1)[0])
    fs.mv(path, place)
    return place


def _ids_or_fault(fs: Any, path: str) -> pa.ChunkedArray | str:
    """The ids of a part, or why it is no readable part. What a store or a disk refuses to give is raised."""
    try:
        return _read(fs, path, ["id"]).column("id")
    except pa.ArrowInvalid as error:
        return str(error).splitlines()[0]
    except OSError as error:
        if error.errno is None and "thrift" in str(error).lower():  # how Arrow tells of a garbled footer
            return str(error).splitlines()[0]
        raise


def _read(fs: Any, path: str, columns: list[str]) -> pa.Table:
    with fs.open(path, "rb") as stream:
        return pq.read_table(stream, columns=columns)


def _sweep(folder: str, kinds: Iterable[str]) -> list[str]:
    """Remove the unfinished files that a killed writer left behind; their names."""
    left = []
    for fate in kinds:
        fs, files = _below(folder, fate)
        for path in (path for path, name in files if name.startswith(".part-")):
            fs.rm(path)
            left.append(path)
    return left


def _below(folder: str, fate: str) -> tuple[Any, list[tuple[str, str]]]:
    """The file system, and path and name of each file of one fate. No glob: a run folder may be called `runs [1]`."""
    fs, base = locate(folder)
    return fs, [(path, path.rpartition("/")[2]) for path in sorted(fs.find(f"{base.rstrip('/')}/{fate}", maxdepth=1))]


def _side_by_side(read: Callable[[str], T], paths: list[str]) -> Iterator[T]:
    """`read` of every path, in order, a few at a time."""
    waiting = iter(paths)
    with ThreadPoolExecutor(READERS) as threads:
        while some := list(islice(waiting, 8 * READERS)):
            yield from threads.map(read, some)
