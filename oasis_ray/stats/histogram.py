"""Totals that can be merged: each reads values one by one, in memory that does not grow with their number.

`Histogram` is log-linear, as HDR histograms are: exact in count, mean and deviation, and in percentiles up to 1,024;
beyond, a value keeps its ten leading bits (0.1%). `HashSample` is an exact sample: the same rows, whatever the order.
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
    """Lengths of texts in one unit."""

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
        """Count all lengths that `other` has counted."""
        self.rows += other.rows
        self.total += other.total
        self.squares += other.squares
        self.bins.update(other.bins)

    @property
    def mean(self) -> float:
        """The mean; 0 of no lengths."""
        return self.total / self.rows if self.rows else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation of all lengths (not of a sample of them)."""
        return sqrt(max(0.0, self.squares / self.rows - self.mean**2)) if self.rows else 0.0

    def histogram(self, most: int = 30) -> list[tuple[int, int | None, int]]:
        """At most `most` bins of a round width from 0 to the 99th percentile, and one without end: low, high, rows."""
        top = self.percentiles().get(99, 0)
        width = next(step for step in _round_widths() if top // step < most)
        rows: Counter[int] = Counter()
        for length, held in self.bins.items():
            rows[min(length, top + width) // width] += held
        ends = max(rows, default=0)
        return [(n * width, (n + 1) * width if n * width <= top else None, rows[n]) for n in range(ends + 1)]

    def percentiles(self) -> dict[int, int]:
        """For each of PERCENTILES, the least length that so many per cent of the texts do not exceed."""
        found, seen, wanted = {}, 0, list(PERCENTILES)
        for length in sorted(self.bins):
            seen += self.bins[length]
            while wanted and seen * 100 >= wanted[0] * self.rows:
                found[wanted.pop(0)] = length
        return found


def _round_widths() -> Iterator[int]:
    """1, 2, 5, 10, 20, 50, …"""
    for power in count():
        yield from (10**power, 2 * 10**power, 5 * 10**power)
