"""The reader: the rows of a row group with their images, in batches of a few rows, when the run asks for them."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oasis_ray.input.columns import ADDRESS, image_column, text_column
from oasis_ray.input.shards import RowGroup
from oasis_ray.job.input import Input
from oasis_ray.storage import locate


def states(places: Iterable[str]) -> pa.Table:
    """What rows are made of so far, from these parts: a column of ids, one of structs; the furthest first."""
    tables = []
    for place in places:
        fs, path = locate(place)
        with fs.open(path, "rb") as stream:
            tables.append(pq.read_table(stream))
    found = pa.concat_tables(tables).sort_by([("place", "descending")]).combine_chunks()
    return pa.table({"id": found.column("id"), "state": found.drop_columns(["id"]).to_struct_array()})


def read(group: RowGroup, given: Input, size: int) -> Iterator[pa.Table]:
    """Batches of the rows of `group` that are to be done: tables with the columns id, source, image, origin,
    texts, state, as far as they are asked for.
    """
    fs, _ = locate(given.path)
    todo = set(group.todo.to_pylist()) if group.todo is not None else None
    begun = states(group.states) if group.states else None
    end = len(group.ids) if todo is None else max(todo, default=-1) + 1
    names = list(dict.fromkeys(name for name in (given.image, given.origin, *given.columns) if name is not None))
    with fs.open(group.file, "rb") as stream:
        at = 0
        for records in pq.ParquetFile(stream).iter_batches(
            batch_size=size, row_groups=[group.index], columns=names or None
        ):
            places = [at + i for i in range(records.num_rows) if todo is None or at + i in todo]
            if places:
                yield _batch(records.take([place - at for place in places]), places, group, given, begun)
            at += records.num_rows
            if at >= end:
                return


def _batch(
    records: pa.RecordBatch, places: list[int], group: RowGroup, given: Input, begun: pa.Table | None
) -> pa.Table:
    columns: dict[str, pa.Array] = {
        "id": group.ids.take(pa.array(places)),
        "source": pa.array([{"file": group.name, "row_group": group.index, "row": row} for row in places], ADDRESS),
    }
    if given.image is not None:
        columns["image"] = image_column(records.column(given.image))
    if given.origin is not None:
        columns["origin"] = text_column(records.column(given.origin))
    if given.columns:  # apart from the row's own columns, whatever their names
        texts = [text_column(records.column(name)) for name in given.columns]
        columns["texts"] = pa.StructArray.from_arrays(texts, names=list(given.columns))
    if begun is not None:
        columns["state"] = begun["state"].take(pc.index_in(columns["id"], begun["id"])).combine_chunks()
    return pa.table(columns)
