"""Repair: cleans up what a killed session left in a run folder, and keeps one copy of each row."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.input.ids import repeated, some
from oasis_ray.output.checkpoint import waiting_folders
from oasis_ray.output.ledger import ended_ids
from oasis_ray.output.parts import below, parts, read_part, rewrite, side_by_side
from oasis_ray.storage import locate, make_folder

BROKEN = "broken"  # the quarantine of unreadable parts in a run folder


def repair(folder: str, outcomes: Sequence[str]) -> tuple[pa.ChunkedArray, list[str]]:
    """Repair a run folder. Return the ids of all rows that have ended, and one note per repair.

    outcomes: the folders of ended rows (`outcomes.outcomes_of`).

    Unfinished files are removed. An unreadable part is quarantined, and its rows are processed again. Of a row that
    occurs in two parts (a write task of the old session outlived its driver) the first copy is kept.
    """
    kinds = (*outcomes, *waiting_folders(folder))
    notes = [f"removed an unfinished part of an earlier session: {file}" for file in _sweep(folder, kinds)]
    held: list[tuple[str, str, pa.ChunkedArray]] = []
    for outcome in kinds:
        fs, paths = parts(folder, outcome)
        for path, ids in zip(paths, side_by_side(lambda path: _ids_or_error(fs, path), paths), strict=True):  # noqa: B023
            if isinstance(ids, str):
                notes.append(f"quarantined an unreadable part ({ids}): {_quarantine(fs, folder, outcome, path)}")
            elif outcome in outcomes:  # rows may wait in two parts: the later state counts
                held.append((outcome, path, ids))
    ended = pa.chunked_array([chunk for *_, ids in held for chunk in ids.chunks], pa.string())
    twice = set(repeated(ended).to_pylist())
    if twice:
        rows = "1 row was" if len(twice) == 1 else f"{len(twice)} rows were"
        notes.append(f"{rows} written twice; one copy of each is kept: {some(sorted(twice))}")
        _keep_first(folder, held, twice)
        ended = ended_ids(folder, outcomes)
    return ended, notes


def _keep_first(folder: str, held: list[tuple[str, str, pa.ChunkedArray]], twice: set[str]) -> None:
    seen: set[str] = set()
    for outcome, path, ids in held:
        keep = []
        for name in ids.to_pylist() if pc.any(pc.is_in(ids, pa.array(list(twice)))).as_py() else ():
            keep.append(name not in seen)
            seen.update({name} & twice)
        if not all(keep):
            rewrite(parts(folder, outcome)[0], folder, outcome, path, pa.array(keep))


def _quarantine(fs: Any, folder: str, outcome: str, path: str) -> str:
    _, base = locate(folder)
    target = f"{base.rstrip('/')}/{BROKEN}/{outcome}-{path.rsplit('/', 1)[1]}"
    make_folder(fs, target.rsplit("/", 1)[0])
    fs.mv(path, target)
    return target


def _ids_or_error(fs: Any, path: str) -> pa.ChunkedArray | str:
    """Return the ids of a part, or the error if it is not a readable part. Errors of a store or disk are raised."""
    try:
        return read_part(fs, path, ["id"]).column("id")
    except pa.ArrowInvalid as error:
        return str(error).splitlines()[0]
    except OSError as error:
        if error.errno is None and "thrift" in str(error).lower():  # how Arrow reports a corrupt footer
            return str(error).splitlines()[0]
        raise


def _sweep(folder: str, kinds: Iterable[str]) -> list[str]:
    """Remove the unfinished files that a killed writer left. Return their paths."""
    removed = []
    for outcome in kinds:
        fs, files = below(folder, outcome)
        for path in (path for path, name in files if name.startswith(".part-")):
            fs.rm(path)
            removed.append(path)
    return removed
