"""External shuffle: brings the selected rows into the order of the export, in bounded memory.

Each part is read once, and each of its rows is written to a bucket, a file on disk for a range of positions. A bucket
is small enough to be sorted in memory when its rows are needed.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oasis_ray.errors import RunError
from oasis_ray.export.index import Part
from oasis_ray.export.row_columns import RowColumns
from oasis_ray.export.selection import Selection

BUCKET_BYTES = 128 * 2**20
MAX_BUCKETS = 256  # open files at a time
SORTED_ROWS = 512
READ_ROWS = 4096
READ_IMAGES = 64


class Shuffle:
    """Reads the rows of a selection from parts and returns them in its order, with these columns."""

    def __init__(self, selection: Selection, columns: RowColumns) -> None:
        self._selection, self._columns = selection, columns
        self._buckets: dict[str, list[Path]] = {}

    def spill(self, folder: Path) -> None:
        """Read every part once and write its rows to buckets below `folder`."""
        starts = self._plan_buckets(folder)
        files = [path for paths in self._buckets.values() for path in paths]
        writers = [pa.ipc.new_stream(path, self._columns.schema) for path in files]
        rows = self._selection.rows
        order = np.lexsort((rows.column("row"), rows.column("part")))
        of_part = np.asarray(rows.column("part"))[order]
        try:
            for number, part in enumerate(self._selection.parts):
                first, last = np.searchsorted(of_part, [number, number + 1])
                for table in self._read(part, order[first:last]):
                    bucket = np.searchsorted(starts, np.asarray(table.column("position")), side="right") - 1
                    for n in np.unique(bucket):
                        writers[n].write_table(table.filter(pa.array(bucket == n)))
        finally:
            for writer in writers:
                writer.close()

    def rows(self, split: str) -> Iterator[pa.Table]:
        """Yield the rows of a split in order, in tables of up to SORTED_ROWS. Each bucket is removed once it is read.

        Raises RunError if there are fewer rows than were selected.
        """
        missing = pc.sum(pc.equal(self._selection.rows.column("split"), split)).as_py()
        for path in self._buckets[split]:
            with pa.OSFile(str(path)) as stream:
                # One chunk, because `take` on several would concatenate them each time.
                table = pa.ipc.open_stream(stream).read_all().combine_chunks()
            path.unlink()
            order = pa.array(np.argsort(np.asarray(table.column("position"))))
            for at in range(0, len(order), SORTED_ROWS):
                yield table.take(order.slice(at, SORTED_ROWS))
            missing -= len(order)
        if missing:
            raise RunError(f"split {split}: a part was changed during the export; missing rows: {missing}")

    def _plan_buckets(self, folder: Path) -> np.ndarray:
        """Name the buckets of each split, by the bytes expected, and return the position at which each begins."""
        parts, rows = self._selection.parts, self._selection.rows
        weight = sum(part.text_bytes + part.image_bytes * self._columns.packed for part in parts)
        share = rows.num_rows / sum(part.rows for part in parts)  # above 1 where records are divided
        splits = pc.value_counts(rows.column("split")).to_pylist()
        most = max(1, MAX_BUCKETS // len(splits))
        starts, at = [], 0
        for split in splits:
            name, count = split["values"], split["counts"]
            wanted = min(most, 1 + int(weight * share * count / rows.num_rows / BUCKET_BYTES), count)
            self._buckets[name] = [folder / f"{name}-{n}.arrow" for n in range(wanted)]
            starts += [at + count * n // wanted for n in range(wanted)]
            at += count
        return np.array(starts)

    def _read(self, part: Part, positions: np.ndarray) -> Iterator[pa.Table]:
        """Yield the selected rows of a part in its order; `positions` are theirs in the selection."""
        if not len(positions):
            return
        selected = self._selection.rows.take(pa.array(positions))
        wanted = np.asarray(selected.column("row"))
        at_once = READ_IMAGES if "image" in self._columns.wanted else READ_ROWS
        with part.fs.open(part.path, "rb") as stream:
            # Without pre-buffering, which would load all images of a row group at a time.
            file, at = pq.ParquetFile(stream, pre_buffer=False, buffer_size=2**20), 0
            for batch in file.iter_batches(at_once, columns=self._columns.wanted):
                first, last = np.searchsorted(wanted, [at, at + len(batch)])
                for begin in range(first, last, at_once):  # several where records are divided
                    end = min(begin + at_once, last)
                    places, parents = np.unique(wanted[begin:end] - at, return_inverse=True)
                    rows = pa.Table.from_batches([batch]).take(pa.array(places))
                    chosen = selected.slice(begin, end - begin)
                    yield self._columns.of(rows, parents, chosen, positions[begin:end], part)
                at += len(batch)
