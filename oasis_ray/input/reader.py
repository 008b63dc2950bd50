"""Reader: yields the rows of a row group with their images, in small batches."""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oasis_ray.input.columns import ADDRESS, IMAGE, image_column, take_column, text_column, value_column
from oasis_ray.input.shards import RowGroup
from oasis_ray.job.input import Input
from oasis_ray.storage import locate


def states(paths: Iterable[str]) -> pa.Table:
    """Read the states of suspended rows from checkpoint parts: columns id and state (structs), latest first."""
    tables = []
    for checkpoint in paths:
        fs, path = locate(checkpoint)
        with fs.open(path, "rb") as stream:
            tables.append(pq.read_table(stream))
    rows = pa.concat_tables(tables, promote_options="default").sort_by([("place", "descending")]).combine_chunks()
    return pa.table({"id": rows.column("id"), "state": rows.drop_columns(["id"]).to_struct_array()})


def read(group: RowGroup, config: Input, size: int, kept: Sequence[str] = ()) -> Iterator[pa.Table]:
    """Yield batches of the pending rows of a row group: tables with the columns id, source, image, origin, values,
    kept (a struct of the columns that records keep) and state, as far as the job uses them.
    """
    todo = set(group.todo.to_pylist()) if group.todo is not None else None
    checkpoints = states(group.states) if group.states else None
    end = len(group.ids) if todo is None else max(todo, default=-1) + 1
    names = list(dict.fromkeys(name for name in (config.image, config.origin, *config.columns.values(), *kept) if name))
    if not group.file:
        yield from _made(group, todo, config, checkpoints, size)
        return
    fs, _ = locate(config.path)
    with fs.open(group.file, "rb") as stream:
        at = 0
        for records in pq.ParquetFile(stream).iter_batches(
            batch_size=size, row_groups=[group.index], columns=names or None
        ):
            rows = [at + i for i in range(records.num_rows) if todo is None or at + i in todo]
            if rows:
                yield _batch(records.take([row - at for row in rows]), rows, group, config, checkpoints, kept)
            at += records.num_rows
            if at >= end:
                return


def _made(
    group: RowGroup, todo: set[int] | None, config: Input, checkpoints: pa.Table | None, size: int
) -> Iterator[pa.Table]:
    """Yield batches of rows that are only counted (`input.rows`)."""
    rows = [row for row in range(len(group.ids)) if todo is None or row in todo]
    for at in range(0, len(rows), size):
        yield _batch(pa.record_batch({}), rows[at : at + size], group, config, checkpoints)


def _batch(
    records: pa.RecordBatch,
    rows: list[int],
    group: RowGroup,
    config: Input,
    checkpoints: pa.Table | None,
    kept: Sequence[str] = (),
) -> pa.Table:
    columns: dict[str, pa.Array] = {
        "id": group.ids.take(pa.array(rows)),
        "source": pa.array([{"file": group.name, "row_group": group.index, "row": row} for row in rows], ADDRESS),
    }
    if config.image is not None:
        images = take_column(records, config.image)
        columns["image"] = pa.nulls(len(rows), IMAGE) if pa.types.is_null(images.type) else image_column(images)
    if config.origin is not None:
        columns["origin"] = text_column(records.column(config.origin))
    if config.columns:  # in a struct, so that their names can't collide with the other columns
        values = [value_column(take_column(records, column)) for column in config.columns.values()]
        columns["values"] = pa.StructArray.from_arrays(values, names=list(config.columns))
    if kept:
        values = [value_column(records.column(name)) for name in kept]
        columns["kept"] = pa.StructArray.from_arrays(values, names=list(kept))
    if checkpoints is not None:
        columns["state"] = checkpoints["state"].take(pc.index_in(columns["id"], checkpoints["id"])).combine_chunks()
    return pa.table(columns)
