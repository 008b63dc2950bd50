"""Mergeable log-linear histogram of lengths, like an HDR histogram, in bounded memory.

Count, mean and deviation are exact. Percentiles are exact up to 1,024; larger values keep their ten leading bits, so
that they are up to 0.2% too small.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from math import sqrt

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
LEADING_BITS = 10


@dataclass
class Histogram:
    """Histogram of the lengths of texts in one unit."""

    rows: int = 0
    total: int = 0
    squares: int = 0
    bins: Counter[int] = field(default_factory=Counter)

    def add(self, length: int) -> None:
        """Count one length."""
        self.rows += 1
        self.total += length
        self.squares += length * length
        extra = max(0, length.bit_length() - LEADING_BITS)
        self.bins[length >> extra << extra] += 1

    def merge(self, other: "Histogram") -> None:
        """Add the counts of `other`."""
        self.rows += other.rows
        self.total += other.total
        self.squares += other.squares
        self.bins.update(other.bins)

    @property
    def mean(self) -> float:
        """The mean; 0 without lengths."""
        return self.total / self.rows if self.rows else 0.0

    @property
    def most(self) -> int:
        """The greatest length, to its leading bits; 0 without lengths."""
        return max(self.bins, default=0)

    @property
    def deviation(self) -> float:
        """The population standard deviation; 0 without lengths."""
        return sqrt(max(0.0, self.squares / self.rows - self.mean**2)) if self.rows else 0.0

    def histogram(self, most: int = 30) -> list[tuple[int, int | None, int]]:
        """Return (low, high, rows) of at most `most` bins of round width up to the 99th percentile, and an open one."""
        top = self.percentiles().get(99, 0)
        width = next(step for step in _round_widths() if top // step < most)
        rows: Counter[int] = Counter()
        for length, texts in self.bins.items():
            rows[min(length, top + width) // width] += texts
        last = max(rows, default=0)
        return [(n * width, (n + 1) * width if n * width <= top else None, rows[n]) for n in range(last + 1)]

    def percentiles(self) -> dict[int, int]:
        """Return for each p of PERCENTILES the smallest length that p per cent of the texts do not exceed."""
        percentiles, seen, remaining = {}, 0, list(PERCENTILES)
        for length in sorted(self.bins):
            seen += self.bins[length]
            while remaining and seen * 100 >= remaining[0] * self.rows:
                percentiles[remaining.pop(0)] = length
        return percentiles


def _round_widths() -> Iterator[int]:
    """Yield 1, 2, 5, 10, 20, 50, …"""
    for power in count():
        yield from (10**power, 2 * 10**power, 5 * 10**power)
