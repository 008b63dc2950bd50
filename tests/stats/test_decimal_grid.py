"""Histograms of numbers: bins of a round width that begin with the double that their digits stand for."""

import math
import random

import pytest

from oasis_ray.stats.decimal_grid import MOST_CELLS, DecimalGrid
from oasis_ray.stats.numbers import Numbers

MOST, LEAST = 1.7976931348623157e308, 5e-324
Bins = list[tuple[float, float, int]]


def of(*numbers: float) -> DecimalGrid:
    made = DecimalGrid()
    for number in numbers:
        made.add(number)
    return made


def twentieths(**rows: int) -> Bins:
    """The bins of numbers within 0 to 1, of which bin n has the rows `in_n`."""
    return [(n / 20, (n + 1) / 20, rows.get(f"in_{n}", 0)) for n in range(20)]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0.15, 0.05 * 3, 0.1 + 0.2, 0.3, 0.7], twentieths(in_3=2, in_6=2, in_14=1)),  # the products are more
        ([math.nextafter(n / 20, 0) for n in range(1, 20)], twentieths(**{f"in_{n}": 1 for n in range(19)})),
        ([n / 20 for n in range(21)], twentieths(**{f"in_{n}": 1 for n in range(19)}, in_19=2)),
        ([0.0], twentieths(in_0=1)),
        ([-0.0, 1], twentieths(in_0=1, in_19=1)),
        ([LEAST, 1e-9], twentieths(in_0=2)),
        ([0.4, 1.0000001], twentieths(in_8=1, in_19=1)),  # probabilities that were added up
    ],
)  # fmt: skip
def test_numbers_within_0_and_1_have_bins_of_a_twentieth(numbers: list[float], expected: Bins) -> None:
    assert of(*numbers).histogram() == expected


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([], []),
        ([7.3, 7.3], [(7.0, 8.0, 2)]),
        ([-2.5], [(-3.0, -2.0, 1)]),
        ([-1.0, -0.6, 0.3, 1.0],
         [(n / 10, (n + 1) / 10, {-10: 1, -6: 1, 3: 1, 9: 1}.get(n, 0)) for n in range(-10, 10)]),
        ([0.0, 4.5, 5.0, 10.0],
         [(n / 2, (n + 1) / 2, {0: 1, 9: 1, 10: 1, 19: 1}.get(n, 0)) for n in range(20)]),
        ([1000.1, 1000.3, 1000.3, 1001.2],
         [(float(f"{1000 + n / 10:.1f}"), float(f"{1000 + (n + 1) / 10:.1f}"), {1: 1, 3: 2, 11: 1}.get(n, 0))
          for n in range(1, 12)] ),
        ([-MOST, 0.25, MOST], [
            (-MOST, -1.6e308, 1), (-1.6e308, -1.4e308, 0), (-1.4e308, -1.2e308, 0), (-1.2e308, -1e308, 0),
            (-1e308, -8e307, 0), (-8e307, -6e307, 0), (-6e307, -4e307, 0), (-4e307, -2e307, 0), (-2e307, 0.0, 0),
            (0.0, 2e307, 1), (2e307, 4e307, 0), (4e307, 6e307, 0), (6e307, 8e307, 0), (8e307, 1e308, 0),
            (1e308, 1.2e308, 0), (1.2e308, 1.4e308, 0), (1.4e308, 1.6e308, 0), (1.6e308, MOST, 1)]),
        ([-LEAST * 9, 2.0], [(-0.2, 0.0, 1), *((n / 5, (n + 1) / 5, int(n == 9)) for n in range(10))]),
    ],
)  # fmt: skip
def test_other_numbers_have_at_most_twenty_bins_of_a_round_width_over_their_range(
    numbers: list[float], expected: Bins
) -> None:
    assert of(*numbers).histogram() == expected


def test_bins_have_the_edges_that_are_written_with_their_digits() -> None:
    edges = [low for low, _, _ in of(0.0, 1.0).histogram()]
    assert list(map(str, edges)) == [
        "0.0", "0.05", "0.1", "0.15", "0.2", "0.25", "0.3", "0.35", "0.4", "0.45",
        "0.5", "0.55", "0.6", "0.65", "0.7", "0.75", "0.8", "0.85", "0.9", "0.95",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([], {}),
        ([0.5, 1.5], {}),
        ([-0.1, 0.5], {}),
        ([n / 10 for n in range(11)], {n / 10: (11 - n) / 11 for n in range(1, 10)}),
        ([0.1 + 0.2, math.nextafter(0.7, 0)], {n / 10: 1.0 if n <= 3 else float(n <= 6) / 2 for n in range(1, 10)}),
    ],
)
def test_a_threshold_keeps_the_numbers_that_are_at_least_as_great(
    numbers: list[float], expected: dict[float, float]
) -> None:
    assert of(*numbers).at_least() == expected
    for threshold, share in expected.items():
        assert share == sum(number >= threshold for number in numbers) / len(numbers)


@pytest.mark.parametrize("spread", [0, 3, 9, 300])
def test_parts_are_merged_into_the_same_bins_in_any_order(spread: int) -> None:
    random.seed(1)
    numbers = [random.gauss(0, 1) * 10.0 ** random.randint(-spread, spread) for _ in range(600)]
    whole = of(*numbers)
    random.shuffle(numbers)
    merged = DecimalGrid()
    for at in range(0, len(numbers), 70):
        merged.merge(of(*numbers[at : at + 70]))
    merged.merge(DecimalGrid())
    assert (merged, sum(rows for _, _, rows in merged.histogram())) == (whole, 600)


def test_a_histogram_counts_as_comparing_with_the_edges_does() -> None:
    random.seed(4)
    for digits in (1, 2, 3, 15):
        numbers = [round(random.uniform(-3, 9), digits) for _ in range(500)]
        bins = of(*numbers).histogram()
        assert len(bins) <= 20
        assert [rows for _, _, rows in bins[:-1]] == [
            sum(low <= number < high for number in numbers) for low, high, _ in bins[:-1]
        ]
        assert bins[-1][2] == sum(bins[-1][0] <= number <= bins[-1][1] for number in numbers)


def test_memory_is_bounded() -> None:
    random.seed(2)
    every = [lambda: random.uniform(0, 1), lambda: random.gauss(0, 1e-6), lambda: random.lognormvariate(0, 9)]
    for draw in every:
        assert len(of(*(draw() for _ in range(20_000))).cells) <= MOST_CELLS


def test_statistics_of_numbers_have_a_histogram_without_nan_and_infinity() -> None:
    numbers = Numbers()
    for number in (0.25, math.nan, 0.3, math.inf, -math.inf, 0.75):
        numbers.add(number)
    assert numbers.grid.histogram() == twentieths(in_5=1, in_6=1, in_15=1)
