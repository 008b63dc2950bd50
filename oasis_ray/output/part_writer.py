"""Part writer: writes Parquet parts to a run folder, one folder per outcome, each part atomically.

A part is named after the session and the task that wrote it. A task that runs again replaces its own parts. Parts
that it wrote earlier for other outcomes are removed first, because a row that is processed again may end differently.
On a local disk a part is written next to its final path and renamed; an object store shows an object only when its
upload is complete.
"""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq

from oasis_ray.errors import RunError
from oasis_ray.output.row_state import waiting_columns
from oasis_ray.output.schema import columns
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.storage import locate, make_folder, on_disk, store_errors


class PartWriter:
    """Writes the rows of one session, or of one phase of it, below `folder`.

    Rows that wait for a later phase go into parts in the folder `waiting`.
    """

    def __init__(self, folder: str, recipe: Recipe, *, session: str, waiting: str | None = None) -> None:
        self._folder, self._session = folder, session
        self._schemas = {outcome: columns(recipe, outcome) for outcome in recipe.outcomes}
        if waiting is not None:
            self._schemas[waiting] = waiting_columns(recipe)

    def write(self, batches: Sequence[pa.Table], task: int) -> dict[str, int]:
        """Write the rows of these batches (`record.batch`) as the parts of task number `task`, one part per outcome.

        Returns the number of rows by outcome. Raises RunError if the folder can't be written to.
        """
        tables = dict(unpack(batches, self._schemas))
        name = f"part-{self._session}-{task:06d}.parquet"
        try:
            with store_errors("output.path", self._folder):
                for outcome in self._schemas:
                    if outcome not in tables:
                        remove_part(f"{self._folder}/{outcome}", name)
                for outcome, table in tables.items():
                    write_part(table, f"{self._folder}/{outcome}", name)
        except OSError as error:
            raise RunError(f"can't write to {self._folder}: {error}") from error
        return {outcome: table.num_rows for outcome, table in tables.items()}


def unpack(batches: Sequence[pa.Table], schemas: Mapping[str, pa.Schema]) -> Iterator[tuple[str, pa.Table]]:
    """Yield one table of rows per outcome that occurs in `batches`. Raises KeyError for an outcome without a schema."""
    if unknown := {name for batch in batches for name in batch.column_names} - set(schemas):
        raise KeyError(*sorted(unknown))
    for outcome, schema in schemas.items():
        lists = [batch.column(outcome) for batch in batches if outcome in batch.column_names]
        # One table per batch: all images in one array could exceed Arrow's 2 GiB.
        structs = [chunk.flatten() for column in lists for chunk in column.chunks]
        tables = [pa.Table.from_arrays(rows.flatten(), names=rows.type.names) for rows in structs if len(rows)]
        if tables:
            yield outcome, pa.concat_tables(tables).cast(schema)


def remove_part(folder: str, name: str) -> None:
    """Remove `folder/name` if it exists."""
    fs, base = locate(folder)
    with suppress(FileNotFoundError):
        fs.rm_file(f"{base}/{name}")


def write_part(table: pa.Table, folder: str, name: str) -> None:
    """Write a table as `folder/name`, atomically."""
    fs, base = locate(folder)
    make_folder(fs, base)
    if not on_disk(fs):
        # In one call: an exception in the middle would close a stream, which uploads what it has so far.
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        fs.pipe_file(f"{base}/{name}", buffer.getvalue())
        return
    hidden = f"{base}/.{name}.{os.getpid()}"
    try:
        with open(hidden, "wb") as stream:  # noqa: PTH123  (fsync needs its descriptor)
            pq.write_table(table, stream, compression="zstd")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(hidden, f"{base}/{name}")  # noqa: PTH105
    finally:
        if os.path.exists(hidden):  # noqa: PTH110
            os.unlink(hidden)  # noqa: PTH108
