"""Repair: removes from a run folder what a killed session left, and keeps one of each row."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.input.ids import repeated, some
from oasis_ray.output.checkpoint import waits
from oasis_ray.output.ledger import ended_ids
from oasis_ray.output.parts import below, parts, read_part, rewrite, side_by_side
from oasis_ray.storage import locate, make_folder
from oasis_ray.types import Outcome

BROKEN = "broken"  # the folder of a run where unreadable parts are set aside


def repair(folder: str) -> tuple[pa.ChunkedArray, list[str]]:
    """Put right what a killed session left behind: the ids of all rows that have ended, and what was done, a line each.

    Unfinished files are removed. A part that can't be read is set aside, and its rows are to do again. Of a row that
    stands in two parts (a write task of the old session that outlived its driver) the first is kept.
    """
    kinds = (*Outcome, *waits(folder))
    told = [f"removed an unfinished part of an earlier session: {file}" for file in _sweep(folder, kinds)]
    held: list[tuple[Outcome, str, pa.ChunkedArray]] = []
    for outcome in kinds:
        fs, paths = parts(folder, outcome)
        for path, ids in zip(paths, side_by_side(lambda path: _ids_or_fault(fs, path), paths), strict=True):  # noqa: B023
            if isinstance(ids, str):
                told.append(f"set aside a part that can't be read ({ids}): {_set_aside(fs, folder, outcome, path)}")
            elif isinstance(outcome, Outcome):  # of a row that waits twice the state that is further counts
                held.append((outcome, path, ids))
    ended = pa.chunked_array([chunk for *_, ids in held for chunk in ids.chunks], pa.string())
    twice = set(repeated(ended).to_pylist())
    if twice:
        told.append(f"{len(twice)} rows had been written twice; one of each is kept: {some(sorted(twice))}")
        _keep_first(folder, held, twice)
        ended = ended_ids(folder)
    return ended, told


def _keep_first(folder: str, held: list[tuple[Outcome, str, pa.ChunkedArray]], twice: set[str]) -> None:
    seen: set[str] = set()
    for outcome, path, ids in held:
        keep = []
        for name in ids.to_pylist() if pc.any(pc.is_in(ids, pa.array(list(twice)))).as_py() else ():
            keep.append(name not in seen)
            seen.update({name} & twice)
        if not all(keep):
            rewrite(parts(folder, outcome)[0], folder, outcome, path, pa.array(keep))


def _set_aside(fs: Any, folder: str, outcome: str, path: str) -> str:
    _, base = locate(folder)
    place = f"{base.rstrip('/')}/{BROKEN}/{outcome}-{path.rsplit('/', 1)[1]}"
    make_folder(fs, place.rsplit("/", 1)[0])
    fs.mv(path, place)
    return place


def _ids_or_fault(fs: Any, path: str) -> pa.ChunkedArray | str:
    """The ids of a part, or why it is no readable part. What a store or a disk refuses to give is raised."""
    try:
        return read_part(fs, path, ["id"]).column("id")
    except pa.ArrowInvalid as error:
        return str(error).splitlines()[0]
    except OSError as error:
        if error.errno is None and "thrift" in str(error).lower():  # how Arrow tells of a garbled footer
            return str(error).splitlines()[0]
        raise


def _sweep(folder: str, kinds: Iterable[str]) -> list[str]:
    """Remove the unfinished files that a killed writer left behind; their names."""
    left = []
    for outcome in kinds:
        fs, files = below(folder, outcome)
        for path in (path for path, name in files if name.startswith(".part-")):
            fs.rm(path)
            left.append(path)
    return left
