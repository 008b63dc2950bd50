"""Count the images of a data set, from a random sample of whole files."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.parquet as pq

from oasis_ray.report.dataset import Dataset, FileGroup
from oasis_ray.stats.image_measures import ImageTotals
from oasis_ray.stats.sample import number
from oasis_ray.storage import locate
from oasis_ray.types import DROPPED

MOST = 20_000  # images to decode: decoding is the expensive part
HELD = 16  # encoded images in memory at a time


def draw(dataset: Dataset) -> Iterator[FileGroup]:
    """Yield files of records with images, one per group, ordered by hash of their names, until the rows are enough."""
    fs, _ = locate(dataset.path)
    files = [
        (number(file.rpartition("/")[2]), file, group)
        for group in dataset.pieces
        if group.kind != "json" and group.outcome not in DROPPED
        for file in group.files
    ]
    rows = 0
    for _, file, group in sorted(files, key=lambda item: item[:2]):
        if rows >= MOST:
            return
        with fs.open(file, "rb") as stream:
            rows += pq.read_metadata(stream).num_rows
        yield FileGroup(group.root, group.kind, (file,), group.outcome)


class ImageCounter:
    """Counts the images of file groups. Each worker process has one."""

    def __call__(self, group: FileGroup) -> ImageTotals:
        """Return the totals of the images of a file group."""
        totals = ImageTotals()
        for data, name in _images(group):
            totals.add(data, name)
        return totals


def _images(group: FileGroup) -> Iterator[tuple[bytes, str]]:
    fs, _ = locate(group.root)
    for file in group.files:
        with fs.open(file, "rb") as stream:
            shard = pq.ParquetFile(stream)
            columns = [name for name in ("id", "image") if name in shard.schema_arrow.names]
            for batch in shard.iter_batches(batch_size=HELD, columns=columns) if "image" in columns else ():
                for row in batch.to_pylist():
                    data = _bytes(row["image"])
                    if data is not None:
                        yield data, str(row.get("id") or file)


def _bytes(image: Any) -> bytes | None:
    data = image.get("bytes") if isinstance(image, Mapping) else image
    return data if isinstance(data, bytes) else None
