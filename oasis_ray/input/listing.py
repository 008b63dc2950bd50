"""Listing: which Parquet files at a path are input, and the name of each file in the ids and addresses of its rows.

A file is named by its path relative to the input path, so ids stay the same when files are added or all are moved.
Hidden files are skipped, and so are the parts of runs in the folder: the records of a run are input only if the path
points into the run.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import fsspec.utils

from oasis_ray.errors import JobError
from oasis_ray.storage import locate, on_disk, store_errors

# How files are named. "shared": relative to the common folder of all files, as in runs of old versions, where adding a
# file elsewhere changed every name.
Naming = Literal["path", "shared"]
MAGIC = re.compile(r"[*?\[]")
HIDDEN = (".", "_")  # as in pyarrow and Spark: unfinished files, notebook checkpoints, `_temporary`
HIDDEN_FILES = "hidden (the name begins with . or _)"
PARTS_OF_RUNS = "in a run folder (it has a run.json)"


@dataclass(frozen=True)
class Listing:
    """The input files with their names, and the number of skipped files by reason."""

    fs: Any
    names: Mapping[str, str]
    passed_over: Mapping[str, int] = field(default_factory=dict)
    run: str | None = None  # the run folder that the path points into
    naming: Naming = "path"

    @property
    def files(self) -> list[str]:
        """The files, in order."""
        return list(self.names)

    def __str__(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in self.passed_over.items())


def list_files(path: str, naming: Naming = "path") -> Listing:
    """List the input files at a path: a file, a folder, or a glob. Raises JobError if it can't be read."""
    try:
        with store_errors("input.path", path, JobError):
            fs, found = locate(path)
            base, candidates, runs = _candidates(fs, found.rstrip("/") or found)
            passed: Counter[str] = Counter()
            shown = {part[:1] for part in found[len(base) :].split("/")}  # a pattern may match hidden files explicitly
            kept = []
            for file in candidates:
                below = file[len(base) :].strip("/")
                if any(part.startswith(HIDDEN) and part[:1] not in shown for part in below.split("/")):
                    passed[HIDDEN_FILES] += 1
                elif any(file.startswith(f"{run}/") for run in runs):
                    passed[PARTS_OF_RUNS] += 1
                else:
                    kept.append(file)
            return Listing(fs, _named(kept, base, naming), dict(passed), _run_above(fs, base), naming)
    except (OSError, ValueError, ImportError) as error:
        raise JobError([f"input.path: {path} can't be listed: {error}"]) from None


def lists(path: str, folder: str) -> bool:
    """Whether `path` would match files of a new folder, with links resolved."""
    (fs, given), (other, place) = locate(path), locate(folder)
    if type(fs) is not type(other):
        return False
    if on_disk(fs):
        pattern = MAGIC.search(given)
        base = given[: pattern.start()].rpartition("/")[0] if pattern else given
        given, place = os.path.realpath(base) + given[len(base) :], os.path.realpath(place)
    part = f"{place.rstrip('/')}/accepted/part-0.parquet"
    if MAGIC.search(given):
        return re.fullmatch(fsspec.utils.glob_translate(given), part) is not None
    return part.startswith(f"{given.rstrip('/')}/") and not given.endswith(".parquet")


def _candidates(fs: Any, found: str) -> tuple[str, list[str], set[str]]:
    """Return the base folder of the path, the Parquet files below it, and the run folders among them."""
    if MAGIC.search(found) and not fs.exists(found):
        base = found[: MAGIC.search(found).start()].rpartition("/")[0]  # type: ignore[union-attr]
        files = sorted(fs.glob(found))
        return base, files, {folder for folder in _folders(files, base) if fs.exists(f"{folder}/run.json")}
    if fs.isdir(found):
        files = fs.find(found)
        runs = {file.rpartition("/")[0] for file in files if file.endswith("/run.json")}
        return found, sorted(file for file in files if file.endswith(".parquet")), runs
    return found.rpartition("/")[0], [found] if fs.exists(found) else [], set()


def _folders(files: Iterable[str], base: str) -> set[str]:
    """Return all folders of the files, down from `base`."""
    folders: set[str] = set()
    for file in files:
        folder = file.rpartition("/")[0]
        while len(folder) >= len(base) and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def _named(files: Sequence[str], base: str, naming: Naming) -> dict[str, str]:
    if not files:
        return {}
    if naming == "shared":
        first, last = min(files), max(files)
        same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        root = first.rfind("/", 0, same) + 1
    else:
        root = len(base) + 1
    names = {file: file[root:].removesuffix(".parquet") for file in files}
    duplicates = {name for name, count in Counter(names.values()).items() if count > 1}
    return {file: file[root:] if name in duplicates else name for file, name in names.items()}


def _run_above(fs: Any, base: str) -> str | None:
    """Return the run folder that `base` is in: record folders are one level below it."""
    folder = base.rpartition("/")[0]
    return folder if folder and fs.exists(f"{folder}/run.json") else None
