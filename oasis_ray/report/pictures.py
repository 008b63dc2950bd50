"""What the pictures of a subject are: sizes, formats, and which look alike. Of whole parts, drawn by their names."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import PIL.Image
import pyarrow.parquet as pq

from oasis_ray.errors import RowError
from oasis_ray.image import admit, decode
from oasis_ray.job import Limits
from oasis_ray.raster import open_image
from oasis_ray.report.sketch import Lengths, number
from oasis_ray.report.subject import Piece, Subject
from oasis_ray.report.twins import Twins
from oasis_ray.rows import Fate
from oasis_ray.storage import locate

MOST = 20_000  # pictures that are looked at: decoding is what costs
HELD = 16  # encoded pictures in memory at once
MEASURES = ("long side in pixels", "short side in pixels", "bytes")
SHOWN_FATES = (str(Fate.ACCEPTED), str(Fate.CAPTIONS))


@dataclass
class PictureTotals:
    """What has been counted of pictures."""

    looked_at: int = 0
    unreadable: int = 0
    formats: Counter[str] = field(default_factory=Counter)
    sizes: dict[str, Lengths] = field(default_factory=lambda: {measure: Lengths() for measure in MEASURES})
    twins: Twins = field(default_factory=Twins)

    def merge(self, other: "PictureTotals") -> None:
        """Count what `other` has counted."""
        self.looked_at += other.looked_at
        self.unreadable += other.unreadable
        self.formats.update(other.formats)
        for measure, lengths in other.sizes.items():
            self.sizes[measure].merge(lengths)
        self.twins.merge(other.twins)

    def add(self, data: bytes, name: str) -> None:
        """Look at one picture."""
        self.looked_at += 1
        try:
            image = admit(data, Limits())
            picture = decode(image)
        except RowError:
            self.unreadable += 1
            return
        with open_image(data) as opened:
            self.formats[opened.format or "unknown"] += 1
        for measure, size in zip(MEASURES, (max(picture.size), min(picture.size), len(data)), strict=True):
            self.sizes[measure].add(size)
        self.twins.add(number(f"{difference_hash(picture):x}"), number(image.digest), None, name)


def difference_hash(picture: PIL.Image.Image) -> int:
    """256 bits that mostly outlive scaling and saving anew: is each of 16 x 16 places darker than the one beside it?"""
    grey = np.asarray(picture.convert("L").resize((17, 16), PIL.Image.Resampling.LANCZOS), np.int16)
    return int(np.packbits(grey[:, :-1] < grey[:, 1:]).tobytes().hex(), 16)


def draw(subject: Subject) -> Iterator[Piece]:
    """Pieces of one file each that hold pictures, in an order given by chance, until there are enough rows."""
    fs, _ = locate(subject.path)
    files = [
        (number(file.rpartition("/")[2]), file, piece)
        for piece in subject.pieces
        if piece.kind != "json" and piece.fate in SHOWN_FATES
        for file in piece.files
    ]
    rows = 0
    for _, file, piece in sorted(files, key=lambda found: found[:2]):
        if rows >= MOST:
            return
        with fs.open(file, "rb") as stream:
            rows += pq.read_metadata(stream).num_rows
        yield Piece(piece.root, piece.kind, (file,), piece.fate)


class Viewer:
    """Looks at the pictures of pieces."""

    def __call__(self, piece: Piece) -> PictureTotals:
        """The totals of a piece's pictures."""
        totals = PictureTotals()
        for data, name in _pictures(piece):
            totals.add(data, name)
        return totals


def _pictures(piece: Piece) -> Iterator[tuple[bytes, str]]:
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
