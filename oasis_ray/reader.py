"""The reader: the rows of a row group with their images, in packets of a few rows, when the run asks for them."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oasis_ray.job import Input
from oasis_ray.schema import ADDRESS, IMAGE
from oasis_ray.source import RowGroup, is_text, is_utf8
from oasis_ray.storage import locate
from oasis_ray.waiting import states


def read(group: RowGroup, given: Input, size: int) -> Iterator[pa.Table]:
    """Packets of the rows of `group` that are to be done: tables with the columns id, source, image, origin,
    texts, state, as far as they are asked for.
    """
    fs, _ = locate(given.path)
    todo = set(group.todo.to_pylist()) if group.todo is not None else None
    begun = states(group.states) if group.states else None
    end = len(group.ids) if todo is None else max(todo, default=-1) + 1
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
            if at >= end:
                return


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
    return pa.table(columns)


def _images(column: pa.Array) -> pa.Array:
    """Images in whatever form as struct<bytes, path>."""
    if pa.types.is_struct(column.type):
        parts = [pc.struct_field(column, "bytes"), pc.struct_field(column, "path")]
    elif is_text(column.type):
        parts = [pa.nulls(len(column), pa.binary()), column]
    else:
        parts = [column, pa.nulls(len(column), pa.string())]
    return pa.StructArray.from_arrays([parts[0].cast(pa.binary()), _text(parts[1])], fields=list(IMAGE))


def _text(column: pa.Array) -> pa.Array:
    """Text that is UTF-8. A shard may say so of other bytes, which its reader does not look at; these become \ufffd."""
    if is_utf8(column):
        return column.cast(pa.string())
    values = column.cast(pa.binary()).to_pylist()
    return pa.array([None if value is None else value.decode(errors="replace") for value in values], pa.string())
