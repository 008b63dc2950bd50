"""Statistics of numbers: exact sums in any order, percentiles to 0.2%, and bounded memory."""

import math
import random

import pytest

from oasis_ray.stats.numbers import Numbers

NAN, INF, MOST, LEAST = float("nan"), float("inf"), 1.7976931348623157e308, 5e-324


def of(*numbers: float) -> Numbers:
    made = Numbers()
    for number in numbers:
        made.add(number)
    return made


@pytest.mark.parametrize(
    ("numbers", "mean", "least", "most"),
    [
        ([0.1] * 10, 0.1, 0.1, 0.1),  # a sum of floats would be 0.9999999999999999
        ([1e16, 1.0, -1e16], 1 / 3, -1e16, 1e16),
        ([MOST, MOST, MOST], MOST, MOST, MOST),
        ([-MOST, MOST], 0.0, -MOST, MOST),
        ([LEAST, LEAST], LEAST, LEAST, LEAST),
        ([0.0, -0.0], 0.0, 0.0, 0.0),
        ([-1.5, 0.25, 3], 1.75 / 3, -1.5, 3),
        ([NAN, 0.5, INF, -INF], 0.5, 0.5, 0.5),
    ],
)
def test_mean_and_bounds_are_exact(numbers: list[float], mean: float, least: float, most: float) -> None:
    made = of(*numbers)
    assert (made.rows, made.mean, made.least, made.most) == (
        sum(map(math.isfinite, numbers)), mean, least, most
    )  # fmt: skip


def test_without_numbers_there_is_nothing() -> None:
    assert (of().mean, of(NAN).rows, of(INF).percentiles()) == (0.0, 0, {})


@pytest.mark.parametrize("draw", [random.random, lambda: random.gauss(0, 1e-6), lambda: random.lognormvariate(0, 9)])
def test_percentiles_are_right_to_a_five_hundredth(draw: object) -> None:
    random.seed(0)
    numbers = [draw() for _ in range(2000)]  # type: ignore[operator]
    in_order = sorted(numbers)
    for point, found in of(*numbers).percentiles().items():
        expected = in_order[math.ceil(point * len(numbers) / 100) - 1]
        assert abs(found - expected) <= abs(expected) / 500


def test_few_numbers_have_percentiles_among_them() -> None:
    assert of(0.25).percentiles() == dict.fromkeys((1, 5, 25, 50, 75, 95, 99), 0.25)
    assert of(-2, 0.5, 0.5, 3).percentiles() == {1: -2, 5: -2, 25: -2, 50: 0.5, 75: 0.5, 95: 3, 99: 3}
    assert of(0.1).percentiles()[50] == 0.1  # and not a little less: no number is below the least


def test_parts_are_merged_into_the_same_statistics_in_any_order() -> None:
    random.seed(1)
    numbers = [random.gauss(0, 1) * 10 ** random.randint(-9, 9) for _ in range(600)]
    whole = of(*numbers)
    random.shuffle(numbers)
    merged = Numbers()
    for at in range(0, len(numbers), 70):
        merged.merge(of(*numbers[at : at + 70]))
    merged.merge(Numbers())
    assert merged == whole


def test_bins_are_bounded() -> None:
    random.seed(2)
    assert len(of(*(random.uniform(1, 2) for _ in range(20_000))).bins) <= 512
