"""Counts the images of a data set, from whole parts that are drawn by their names."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.parquet as pq

from oasis_ray.report.dataset import Dataset, FileGroup
from oasis_ray.stats.image_measures import ImageTotals
from oasis_ray.stats.sample import number
from oasis_ray.storage import locate
from oasis_ray.types import Outcome

MOST = 20_000  # pictures that are looked at: decoding is what costs
HELD = 16  # encoded pictures in memory at once
SHOWN_OUTCOMES = (str(Outcome.ACCEPTED), str(Outcome.CAPTIONS))


def draw(subject: Dataset) -> Iterator[FileGroup]:
    """Pieces of one file each that hold pictures, in an order given by chance, until there are enough rows."""
    fs, _ = locate(subject.path)
    files = [
        (number(file.rpartition("/")[2]), file, piece)
        for piece in subject.pieces
        if piece.kind != "json" and piece.outcome in SHOWN_OUTCOMES
        for file in piece.files
    ]
    rows = 0
    for _, file, piece in sorted(files, key=lambda found: found[:2]):
        if rows >= MOST:
            return
        with fs.open(file, "rb") as stream:
            rows += pq.read_metadata(stream).num_rows
        yield FileGroup(piece.root, piece.kind, (file,), piece.outcome)


class ImageCounter:
    """Looks at the pictures of pieces."""

    def __call__(self, piece: FileGroup) -> ImageTotals:
        """The totals of a piece's pictures."""
        totals = ImageTotals()
        for data, name in _pictures(piece):
            totals.add(data, name)
        return totals


def _pictures(piece: FileGroup) -> Iterator[tuple[bytes, str]]:
    fs, _ = locate(piece.root)
    for file in piece.files:
        with fs.open(file, "rb") as stream:
            shard = pq.ParquetFile(stream)
            held = [name for name in ("id", "image") if name in shard.schema_arrow.names]
            for batch in shard.iter_batches(batch_size=HELD, columns=held) if "image" in held else ():
                for row in batch.to_pylist():
                    data = _bytes(row["image"])
                    if data is not None:
                        yield data, str(row.get("id") or file)


def _bytes(image: Any) -> bytes | None:
    found = image.get("bytes") if isinstance(image, Mapping) else image
    return found if isinstance(found, bytes) else None
