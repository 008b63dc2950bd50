"""Shards: the Parquet input, addressed as (file, row group, row).

`open_shards` reads only footers and ids, and reports all problems with them; images are read later (`reader.read`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oasis_ray.errors import JobError
from oasis_ray.input.columns import is_utf8, wrong_columns
from oasis_ray.input.ids import numbered, repeated, sample_of
from oasis_ray.input.image_admission import LFS
from oasis_ray.input.kept_columns import KeptColumns
from oasis_ray.input.listing import PARTS_OF_RUNS, Listing, Naming, list_files
from oasis_ray.job.input import Input, Sample
from oasis_ray.recipe.source import SourceType
from oasis_ray.storage import is_folder, store_errors

NOTHING: Mapping[str, SourceType] = MappingProxyType({})
A_GROUP = 1000  # rows per group of an input that has only a number of rows


@dataclass(frozen=True)
class RowGroup:
    """One row group of a shard: the ids of its rows, and its pending rows (None: all rows).

    `states` are the checkpoint parts with the states of rows that were suspended between phases (`run.phases`).
    """

    file: str
    name: str
    index: int
    ids: pa.StringArray
    todo: pa.Int64Array | None = None
    states: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Number of pending rows."""
        return len(self.ids) if self.todo is None else len(self.todo)

    @property
    def ids_todo(self) -> pa.StringArray:
        """Ids of the pending rows."""
        return self.ids if self.todo is None else self.ids.take(self.todo)


@dataclass(frozen=True)
class Shards:
    """The row groups of the input."""

    input: Input
    groups: tuple[RowGroup, ...] = field(repr=False)
    listing: Listing
    kept: Mapping[str, pa.DataType] = field(default_factory=dict)  # columns that records keep (`input.keep`)

    @property
    def rows(self) -> int:
        """Number of pending rows in all shards."""
        return sum(group.rows for group in self.groups)

    @property
    def ids_todo(self) -> pa.ChunkedArray:
        """Ids of the pending rows."""
        return pa.chunked_array([group.ids_todo for group in self.groups], pa.string())

    @property
    def ids(self) -> pa.ChunkedArray:
        """Ids of all rows of these row groups, pending or not."""
        return pa.chunked_array([group.ids for group in self.groups], pa.string())

    def only(self, chosen: pa.BooleanArray) -> "Shards":
        """Return the shards with only the pending rows that are `chosen`: one boolean per id in `ids`."""
        groups, at = [], 0
        for group in self.groups:
            todo = pc.indices_nonzero(chosen.slice(at, len(group.ids))).cast(pa.int64())
            at += len(group.ids)
            if group.todo is not None:
                todo = todo.filter(pc.is_in(todo, value_set=group.todo))
            if len(todo):
                groups.append(replace(group, todo=todo))
        return replace(self, groups=tuple(groups))

    def without(self, ended: pa.ChunkedArray) -> "Shards":
        """Return the shards without the rows in `ended` (ids) among the pending ones."""
        # One search for all ids: each builds its own hash table of `ended`.
        return self.only(pc.invert(pc.is_in(self.ids, value_set=ended)).combine_chunks())

    def sampled(self, sample: Sample) -> "Shards":
        """Return the shards with only the rows of a sample; row groups without any are dropped."""
        names = (name for chunk in self.ids.iterchunks() for name in chunk.to_pylist())
        chosen = np.zeros(len(self.ids), bool)
        chosen[sample_of(names, sample.rows, sample.seed)] = True
        return self.only(pa.array(chosen))


def open_shards(config: Input, naming: Naming = "path", source: Mapping[str, SourceType] = NOTHING) -> Shards:
    """Find the shards, check their columns, and read their ids.

    source: the values that the recipe reads, which the columns are checked against. Raises JobError with all problems
    of all shards.
    """
    if config.rows is not None:
        return counted_rows(config, config.rows)
    listing = list_files(config.path, naming)
    if not listing.names:
        raise JobError([_nothing(config.path, listing)])
    fs, problems = listing.fs, list[str]()
    if config.root is not None and not is_folder("input.root", config.root):
        problems.append(f"input.root: there is no folder {config.root}")
    groups: list[RowGroup] = []
    kept = KeptColumns(config)
    for file, name in listing.names.items():
        try:
            with store_errors("input.path", config.path, JobError), fs.open(file, "rb") as stream:
                if stream.read(len(LFS)) == LFS:
                    problems.append(
                        f"{file} is a Git LFS pointer instead of the file; run git lfs pull, or hf download"
                    )
                    continue
                stream.seek(0)
                shard = pq.ParquetFile(stream)
                wrong = wrong_columns(shard.schema_arrow, config, file, source)
                wrong += kept.problems(shard.schema_arrow, file)
                problems.extend(wrong)
                if not wrong:
                    groups.extend(_groups(shard, config, file, name, problems))
        except (pa.ArrowException, OSError) as error:
            problems.append(f"{file} can't be read as Parquet: {error}")
    if not problems:
        groups = _with_unique_ids(groups, config, problems)
    if not problems and not sum(len(group.ids) for group in groups):
        problems.append(f"input.path: the {len(listing.names)} Parquet files at {config.path} have no rows")
    if problems:
        raise JobError(problems)
    shards = Shards(config, tuple(groups), listing, kept.types)
    return shards if config.sample is None else shards.sampled(config.sample)


def counted_rows(config: Input, rows: int) -> Shards:
    """Return the rows of an input that has only a number of them (`input.rows`): ids `row-00000000` and following."""
    groups = [
        RowGroup("", "rows", at // A_GROUP, pa.array([f"row-{row:08d}" for row in range(at, min(at + A_GROUP, rows))]))
        for at in range(0, rows, A_GROUP)
    ]
    shards = Shards(config, tuple(groups), Listing(None, {}))
    return shards if config.sample is None else shards.sampled(config.sample)


def _nothing(path: str, listing: Listing) -> str:
    text = f"input.path: there are no Parquet files at {path}"
    if not listing.passed_over:
        return text
    advice = f"; to read a run's records, name their folder ({path.rstrip('/')}/accepted)"
    return f"{text} (skipped: {listing})" + (advice if PARTS_OF_RUNS in listing.passed_over else "")


def _groups(shard: pq.ParquetFile, config: Input, file: str, name: str, problems: list[str]) -> Iterator[RowGroup]:
    for index in range(shard.num_row_groups):
        count = shard.metadata.row_group(index).num_rows
        if config.id is None:
            ids = pa.array([f"{name}:{index}:{row}" for row in range(count)], pa.string())
        else:
            column = shard.read_row_group(index, columns=[config.id]).column(0)
            if column.null_count:
                missing = "1 row has" if column.null_count == 1 else f"{column.null_count} rows have"
                problems.append(
                    f"{file}: {missing} no id in column '{config.id}'; fill in the ids, or remove "
                    "`input.id` to make ids of file, row group and row"
                )
                continue
            if not is_utf8(column):
                problems.append(f"{file}: column '{config.id}' contains invalid UTF-8; rewrite the ids as UTF-8")
                continue
            ids = pa.concat_arrays(column.cast(pa.string()).chunks) if count else pa.array([], pa.string())
        yield RowGroup(file, name, index, ids)


def _with_unique_ids(groups: list[RowGroup], config: Input, problems: list[str]) -> list[RowGroup]:
    """Return the groups with unique ids: duplicates are numbered, or reported in `problems`."""
    ids = pa.chunked_array([group.ids for group in groups], pa.string())
    duplicates = repeated(ids)
    if not len(duplicates):
        return groups
    if config.repeated_ids == "error":
        shown = ", ".join(repr(value) for value in duplicates[:5].to_pylist()) + ", …" * (len(duplicates) > 5)
        problems.append(
            f"input.id: {len(duplicates)} ids of column '{config.id}' occur more than once ({shown}); "
            "make them unique, or set `input.repeated_ids: number`"
        )
        return groups
    taken, again = set(pc.unique(ids).to_pylist()), dict.fromkeys(duplicates.to_pylist(), 0)
    return [
        RowGroup(g.file, g.name, g.index, pa.array([numbered(i, again, taken) for i in g.ids.to_pylist()], pa.string()))
        for g in groups
    ]
