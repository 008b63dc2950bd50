"""Mergeable counts of numbers in cells whose width is a power of ten, in bounded memory: for histograms.

The cells are as narrow as the range of the numbers allows with at most `MOST_CELLS` of them. Cell n begins with the
double that n times the width is rounded to, which is the one that is written with these digits: 0.15 is in the cell
that begins with 0.15, although 0.05 * 3 is more, and a threshold that a job gives as 0.15 divides the numbers there.
Each cell lies in one of the next wider ones, so the counts do not depend on the order of the numbers.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from math import copysign, inf, isinf
from sys import float_info

MOST_CELLS = 1000
MOST_BINS = 20
FINEST = -300  # the power of ten of the narrowest cells; numbers near the smallest doubles have few digits
DIGITS = 12  # of the greatest number; doubles have 15
UNIT_BINS = 20  # of 0.05, for numbers within 0 to 1
SLACK = 1e-6  # by which a sum of probabilities may be more than 1


@dataclass
class DecimalGrid:
    """Counts of finite numbers by cell of the width 10**`power`."""

    power: int = FINEST
    least: float = inf
    most: float = -inf
    cells: Counter[int] = field(default_factory=Counter)

    def add(self, number: float) -> None:
        """Count one number."""
        self._cover(number, number)
        self.cells[_cell(number, self.power)] += 1

    def merge(self, other: "DecimalGrid") -> None:
        """Add the counts of `other`."""
        if other.cells:
            self._cover(other.least, other.most, other.power)
            self.cells.update(_wider(other.cells, 10 ** (self.power - other.power)))

    @property
    def within_one(self) -> bool:
        """Whether there are numbers, and all are within 0 to 1."""
        return -SLACK <= self.least <= self.most <= 1 + SLACK

    def at_least(self) -> dict[float, float]:
        """Return the share of numbers that are at least 0.1, 0.2, … 0.9; nothing unless all are within 0 to 1."""
        if not self.within_one:
            return {}
        tenths = _wider(self.cells, 10 ** (-1 - self.power))
        rows = tenths.total()
        return {n / 10: sum(tenths[at] for at in tenths if at >= n) / rows for n in range(1, 10)}

    def histogram(self) -> list[tuple[float, float, int]]:
        """Return (low, high, rows) of at most `MOST_BINS` bins of a round width; the last one includes its end.

        For numbers within 0 to 1 they are those of 0.05, from 0 to 1.
        """
        if not self.cells:
            return []
        step, power, first, last = self._bins()
        rows: Counter[int] = Counter()
        for at, count in _wider(self.cells, step * 10 ** (power - self.power)).items():
            rows[min(max(at, first), last)] += count
        return [
            (_finite(_begin(at * step, power)), _finite(_begin((at + 1) * step, power)), rows[at])
            for at in range(first, last + 1)
        ]

    def _bins(self) -> tuple[int, int, int, int]:
        """Return the width of the bins, as a step and a power of ten, and the first and the last one."""
        if self.within_one:
            return 5, -2, 0, UNIT_BINS - 1
        for step, power in _round_widths(_magnitude(self.most) if self.least == self.most else self.power):
            first, last = _cell(self.least, power) // step, _cell(self.most, power) // step
            if first < last and _begin(last * step, power) == self.most:
                last -= 1
            if last - first < MOST_BINS:
                return step, power, first, last
        raise AssertionError("round widths do not end")

    def _cover(self, least: float, most: float, power: int = FINEST) -> None:
        """Widen the cells to at least 10**`power`, and so far that numbers from `least` to `most` have few enough."""
        if self.least <= least and most <= self.most and power <= self.power:
            return
        self.least, self.most = min(self.least, least), max(self.most, most)
        power = max(self.power, power, _magnitude(max(-self.least, self.most)) - DIGITS)
        while _cell(self.most, power) - _cell(self.least, power) >= MOST_CELLS:
            power += 1
        self.cells, self.power = _wider(self.cells, 10 ** (power - self.power)), power


def _cell(number: float, power: int) -> int:
    """Return the last cell of the width 10**`power` that does not begin after `number`."""
    numerator, denominator = number.as_integer_ratio()
    times, divisor = (10**-power, 1) if power < 0 else (1, 10**power)
    cell = numerator * times // (denominator * divisor)
    return cell + (_begin(cell + 1, power) <= number)


def _begin(cell: int, power: int) -> float:
    """Return the number with which a cell begins: of the two divisions and products here, each is rounded once."""
    try:
        return cell / 10**-power if power < 0 else float(cell * 10**power)
    except OverflowError:
        return copysign(inf, cell)


def _finite(number: float) -> float:
    return copysign(float_info.max, number) if isinf(number) else number


def _wider(cells: Counter[int], times: int) -> Counter[int]:
    """Return the counts by cells that are wider by a whole number of times."""
    wider: Counter[int] = Counter()
    for cell, rows in cells.items():
        wider[cell // times] += rows
    return wider


def _magnitude(number: float) -> int:
    """Return the power of ten of a number's first digit; of 0 the least."""
    return max(FINEST, Decimal(number).adjusted()) if number else FINEST


def _round_widths(power: int) -> Iterator[tuple[int, int]]:
    """Yield 1, 2, 5, 10, 20, 50, … times 10**`power`, as a step and a power of ten."""
    while True:
        yield from ((1, power), (2, power), (5, power))
        power += 1
