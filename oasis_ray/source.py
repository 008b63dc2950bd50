"""The input: Parquet shards, addressed as (file, row group, row), read as packets of a few rows.

`open_shards` looks at footers and ids alone and reports everything that is wrong with them; images are read only when
the graph asks. A packet is one row of Ray Data whose list column holds the rows of one task: see docs/decisions.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from oasis_ray.errors import JobError, nearest
from oasis_ray.ids import numbered, repeated
from oasis_ray.job import Input
from oasis_ray.schema import ADDRESS, IMAGE
from oasis_ray.storage import is_folder, locate, told
from oasis_ray.waiting import states


@dataclass(frozen=True)
class RowGroup:
    """One row group of a shard: its rows' ids, and the rows that are still to be done (None: all of them).

    `states` are the parts that hold what those of them are made of that have waited (see `phases`).
    """

    file: str
    name: str
    index: int
    ids: pa.StringArray
    todo: pa.Int64Array | None = None
    states: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shards:
    """The input as it was found."""

    input: Input
    groups: tuple[RowGroup, ...] = field(repr=False)
    files: int = 0

    @property
    def rows(self) -> int:
        """Rows in all shards."""
        return sum(len(group.ids) for group in self.groups)

    def without(self, ended: pa.ChunkedArray) -> "Shards":
        """These shards with the rows in `ended` (ids) taken out of what is to be done."""
        groups, at = [], 0
        # In one go: each search builds its table of `ended` anew.
        every = pa.chunked_array([group.ids for group in self.groups], pa.string())
        left = pc.invert(pc.is_in(every, value_set=ended)).combine_chunks()
        for group in self.groups:
            todo = pc.indices_nonzero(left.slice(at, len(group.ids)))
            at += len(group.ids)
            if len(todo):
                groups.append(RowGroup(group.file, group.name, group.index, group.ids, todo.cast(pa.int64())))
        return Shards(self.input, tuple(groups), self.files)


def open_shards(given: Input) -> Shards:
    """Find the shards, check their columns, and read their ids. Raises JobError with every problem of every shard."""
    fs, files = find_files(given.path)
    if not files:
        raise JobError([f"input.path: there are no Parquet files at {given.path}"])
    problems: list[str] = []
    if given.root is not None and not is_folder("input.root", given.root):
        problems.append(f"input.root: there is no folder {given.root}")
    groups: list[RowGroup] = []
    for file, name in shard_names(files).items():
        try:
            with told("input.path", given.path, JobError), fs.open(file, "rb") as stream:
                shard = pq.ParquetFile(stream)
                wrong = _wrong_columns(shard.schema_arrow, given, file)
                problems.extend(wrong)
                if not wrong:
                    groups.extend(_groups(shard, given, file, name, problems))
        except (pa.ArrowException, OSError) as error:
            problems.append(f"{file} can't be read as Parquet: {error}")
    if not problems:
        groups = _told_apart(groups, given, problems)
    if not problems and not sum(len(group.ids) for group in groups):
        problems.append(f"input.path: the {len(files)} Parquet files at {given.path} hold no rows")
    if problems:
        raise JobError(problems)
    return Shards(given, tuple(groups), len(files))


def find_files(path: str) -> tuple[Any, list[str]]:
    """The file system of a path, and the Parquet files there. Raises JobError where it can't be looked into."""
    try:
        with told("input.path", path, JobError):
            fs, found = locate(path)
            if fs.isdir(found):
                return fs, sorted(file for file in fs.find(found) if file.endswith(".parquet"))
            return fs, [found] if fs.exists(found) else sorted(fs.glob(found))
    except (OSError, ValueError, ImportError) as error:
        raise JobError([f"input.path: {path} can't be looked into: {error}"]) from None


def shard_names(files: Sequence[str]) -> dict[str, str]:
    """What each file is called in the addresses of its rows: its path below the folder that all share."""
    first, last = min(files), max(files)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    root = first.rfind("/", 0, same) + 1
    return {file: file[root:].removesuffix(".parquet") for file in files}


def _wrong_columns(schema: pa.Schema, given: Input, file: str) -> list[str]:
    """What keeps this shard from being read."""
    wanted = {"input.id": given.id, "input.image": given.image, "input.origin": given.origin} | {
        f"input.columns: {c}": c for c in given.columns
    }
    problems = []
    for key, column in wanted.items():
        if column is None:
            continue
        if column not in schema.names:
            has = ", ".join(schema.names)
            problems.append(f"{file} has no column '{column}' ({key}); it has: {has}.{nearest(column, schema.names)}")
            continue
        kind = schema.field(column).type
        if key == "input.id" and (pa.types.is_nested(kind) or pa.types.is_binary(kind)):
            problems.append(f"{file}: column '{column}' is {kind}; ids are text or numbers")
        elif key == "input.image" and not _holds_images(kind):
            problems.append(
                f"{file}: column '{column}' is {kind}; images are binary, struct<bytes, path>, or a path (string)"
            )
        elif key == "input.image" and _is_text(kind) and given.root is None:
            problems.append(f"{file}: column '{column}' holds paths; say in `input.root` which folder they are below")
        elif key.startswith(("input.columns", "input.origin")) and not _is_text(kind):
            problems.append(f"{file}: column '{column}' is {kind}; columns of `{key.split(':')[0]}` hold text")
    return problems


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        parts = {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
        return _is_bytes(parts.get("bytes", pa.null())) and _is_text(parts.get("path", pa.null()))
    return _is_bytes(kind) or _is_text(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary))


def _is_text(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string))


def _groups(shard: pq.ParquetFile, given: Input, file: str, name: str, problems: list[str]) -> Iterator[RowGroup]:
    for index in range(shard.num_row_groups):
        count = shard.metadata.row_group(index).num_rows
        if given.id is None:
            ids = pa.array([f"{name}:{index}:{row}" for row in range(count)], pa.string())
        else:
            column = shard.read_row_group(index, columns=[given.id]).column(0)
            if column.null_count:
                problems.append(
                    f"{file}: {column.null_count} rows have no id in column '{given.id}'; fill it in, or leave "
                    "`input.id` out, and ids are made of file, row group and row"
                )
                continue
            if not _is_utf8(column):
                problems.append(f"{file}: column '{given.id}' holds bytes that are no UTF-8; write the ids anew")
                continue
            ids = pa.concat_arrays(column.cast(pa.string()).chunks) if count else pa.array([], pa.string())
        yield RowGroup(file, name, index, ids)


def _told_apart(groups: list[RowGroup], given: Input, problems: list[str]) -> list[RowGroup]:
    """The groups with every id once: as they are, or with repeated ids numbered, or with the problem told."""
    ids = pa.chunked_array([group.ids for group in groups], pa.string())
    twice = repeated(ids)
    if not len(twice):
        return groups
    if given.repeated_ids == "error":
        shown = ", ".join(repr(value) for value in twice[:5].to_pylist()) + ", …" * (len(twice) > 5)
        problems.append(
            f"input.id: {len(twice)} ids of column '{given.id}' come more than once ({shown}); "
            "make them unique, or say `input.repeated_ids: number`"
        )
        return groups
    taken, again = set(pc.unique(ids).to_pylist()), dict.fromkeys(twice.to_pylist(), 0)
    return [
        RowGroup(g.file, g.name, g.index, pa.array([numbered(i, again, taken) for i in g.ids.to_pylist()], pa.string()))
        for g in groups
    ]


READ_TASKS = 2000  # at most: Ray Data keeps book of every task from the start


class ShardSource(Datasource):  # type: ignore[misc]  # Ray ships no types
    """Ray Data's view of the shards: read tasks that yield packets of `rows_per_task` rows."""

    def __init__(self, shards: Shards, rows_per_task: int, watch: Any = None) -> None:
        self._shards, self._rows_per_task, self._watch = shards, rows_per_task, watch

    def get_name(self) -> str:
        """The operator's name in Ray's logs and dashboard."""
        return "Shards"

    def estimate_inmemory_data_size(self) -> int | None:
        """Not known without reading the images."""
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """Whole row groups, one a task or a few in a row: the address of a row never depends on Ray's blocks."""
        groups, each = self._shards.groups, -(-len(self._shards.groups) // READ_TASKS)
        tasks = [groups[at : at + each] for at in range(0, len(groups), max(1, each))]
        return [
            ReadTask(
                partial(read_groups, some, self._shards.input, self._rows_per_task, self._watch),
                BlockMetadata(sum(len(group.ids) for group in some), None, None, None),
            )
            for some in tasks
        ]


def read_groups(groups: Sequence[RowGroup], given: Input, size: int, watch: Any) -> Iterator[pa.Table]:
    """Packets of the rows of `groups` that are to be done, until the watch says that no row is to be begun."""
    for group in groups:
        if watch is not None and ray.get(watch.draining.remote()):
            return
        yield from read(group, given, size)


def read(group: RowGroup, given: Input, size: int) -> Iterator[pa.Table]:
    """Packets of the rows of `group` that are to be done: tables of one row, whose column `rows` is a list of structs
    (id, source, image, origin, texts, state).
    """
    fs, _ = locate(given.path)
    todo = set(group.todo.to_pylist()) if group.todo is not None else None
    begun = states(group.states) if group.states else None
    names = list(dict.fromkeys(name for name in (given.image, given.origin, *given.columns) if name is not None))
    with fs.open(group.file, "rb") as stream:
        at = 0
        for batch in pq.ParquetFile(stream).iter_batches(
            batch_size=size, row_groups=[group.index], columns=names or None
        ):
            places = [at + i for i in range(batch.num_rows) if todo is None or at + i in todo]
            if places:
                yield _packet(batch.take([place - at for place in places]), places, group, given, begun)
            at += batch.num_rows


def _packet(
    batch: pa.RecordBatch, places: list[int], group: RowGroup, given: Input, begun: pa.Table | None
) -> pa.Table:
    columns: dict[str, pa.Array] = {
        "id": group.ids.take(pa.array(places)),
        "source": pa.array([{"file": group.name, "row_group": group.index, "row": row} for row in places], ADDRESS),
    }
    if given.image is not None:
        columns["image"] = _images(batch.column(given.image))
    if given.origin is not None:
        columns["origin"] = _text(batch.column(given.origin))
    if given.columns:  # apart from the row's own columns, whatever their names
        texts = [_text(batch.column(name)) for name in given.columns]
        columns["texts"] = pa.StructArray.from_arrays(texts, names=list(given.columns))
    if begun is not None:
        columns["state"] = begun["state"].take(pc.index_in(columns["id"], begun["id"])).combine_chunks()
    rows = pa.StructArray.from_arrays(list(columns.values()), names=list(columns))
    return pa.table({"rows": pa.ListArray.from_arrays([0, len(rows)], rows)})


def _images(column: pa.Array) -> pa.Array:
    """Images in whatever form as struct<bytes, path>."""
    if pa.types.is_struct(column.type):
        parts = [pc.struct_field(column, "bytes"), pc.struct_field(column, "path")]
    elif _is_text(column.type):
        parts = [pa.nulls(len(column), pa.binary()), column]
    else:
        parts = [column, pa.nulls(len(column), pa.string())]
    return pa.StructArray.from_arrays([parts[0].cast(pa.binary()), _text(parts[1])], fields=list(IMAGE))


def _text(column: pa.Array) -> pa.Array:
    """Text that is UTF-8. A shard may say so of other bytes, which its reader does not look at; these become \ufffd."""
    if _is_utf8(column):
        return column.cast(pa.string())
    values = column.cast(pa.binary()).to_pylist()
    return pa.array([None if value is None else value.decode(errors="replace") for value in values], pa.string())


def _is_utf8(column: pa.Array | pa.ChunkedArray) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
