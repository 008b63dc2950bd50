"""Mergeable statistics of numbers, in bounded memory: like `histogram`, for values with a sign and decimals.

Count, mean, minimum, maximum and the histogram of the grid are exact, and the same in whichever order numbers are
added. Percentiles keep ten leading bits, so that they are up to 0.2% nearer to 0.
"""

from collections import Counter
from dataclasses import dataclass, field
from math import frexp, isfinite, ldexp

from oasis_ray.stats.decimal_grid import DecimalGrid
from oasis_ray.stats.histogram import LEADING_BITS, PERCENTILES

SMALLEST_BIT = 1074  # a double is a multiple of 2**-1074


@dataclass
class Numbers:
    """Statistics of numbers. NaN and infinity are left out."""

    rows: int = 0
    total: int = 0  # the sum in units of 2**-1074: sums of floats would depend on their order
    bins: Counter[float] = field(default_factory=Counter)
    grid: DecimalGrid = field(default_factory=DecimalGrid)

    def add(self, number: float) -> None:
        """Count one number."""
        if not isfinite(number):
            return
        self.rows += 1
        numerator, denominator = number.as_integer_ratio()
        self.total += numerator << (SMALLEST_BIT - denominator.bit_length() + 1)
        self.grid.add(number)
        fraction, exponent = frexp(number)
        self.bins[ldexp(int(fraction * 2**LEADING_BITS), exponent - LEADING_BITS)] += 1

    def merge(self, other: "Numbers") -> None:
        """Add the counts of `other`."""
        self.rows += other.rows
        self.total += other.total
        self.grid.merge(other.grid)
        self.bins.update(other.bins)

    @property
    def least(self) -> float:
        """The least number; infinity without numbers."""
        return self.grid.least

    @property
    def most(self) -> float:
        """The greatest number; minus infinity without numbers."""
        return self.grid.most

    @property
    def mean(self) -> float:
        """The mean; 0 without numbers."""
        return self.total / (self.rows << SMALLEST_BIT) if self.rows else 0.0

    def percentiles(self) -> dict[int, float]:
        """Return for each p of PERCENTILES the smallest number that p per cent of the numbers do not exceed."""
        percentiles, seen, remaining = {}, 0, list(PERCENTILES)
        for number in sorted(self.bins):
            seen += self.bins[number]
            while remaining and seen * 100 >= remaining[0] * self.rows:
                percentiles[remaining.pop(0)] = min(max(number, self.least), self.most)
        return percentiles
