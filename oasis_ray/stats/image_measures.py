"""Statistics of images: sizes, formats and near-duplicates."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import PIL.Image

from oasis_ray.errors import RowError
from oasis_ray.input.image_admission import admit
from oasis_ray.input.image_decoding import open_image
from oasis_ray.input.image_renditions import decode
from oasis_ray.job.limits import Limits
from oasis_ray.stats.histogram import Histogram
from oasis_ray.stats.near_duplicates import NearDuplicates
from oasis_ray.stats.sample import number

MEASURES = ("long side in pixels", "short side in pixels", "bytes")


@dataclass
class ImageTotals:
    """Counts of images."""

    looked_at: int = 0
    unreadable: int = 0
    formats: Counter[str] = field(default_factory=Counter)
    sizes: dict[str, Histogram] = field(default_factory=lambda: {measure: Histogram() for measure in MEASURES})
    twins: NearDuplicates = field(default_factory=NearDuplicates)

    def merge(self, other: "ImageTotals") -> None:
        """Add the counts of `other`."""
        self.looked_at += other.looked_at
        self.unreadable += other.unreadable
        self.formats.update(other.formats)
        for measure, lengths in other.sizes.items():
            self.sizes[measure].merge(lengths)
        self.twins.merge(other.twins)

    def add(self, data: bytes, name: str) -> None:
        """Count an image; `data` is the encoded file, `name` the id of its row."""
        self.looked_at += 1
        try:
            admitted = admit(data, Limits())
            image = decode(admitted)
        except RowError:
            self.unreadable += 1
            return
        with open_image(data) as opened:
            self.formats[opened.format or "unknown"] += 1
        for measure, size in zip(MEASURES, (max(image.size), min(image.size), len(data)), strict=True):
            self.sizes[measure].add(size)
        self.twins.add(number(f"{difference_hash(image):x}"), number(admitted.digest), None, name)


def difference_hash(image: PIL.Image.Image) -> int:
    """Return a 256-bit difference hash, which mostly survives scaling and re-encoding.

    Each bit says whether one of 16 x 16 cells is darker than its right neighbour.
    """
    grey = np.asarray(image.convert("L").resize((17, 16), PIL.Image.Resampling.LANCZOS), np.int16)
    return int(np.packbits(grey[:, :-1] < grey[:, 1:]).tobytes().hex(), 16)
