"""What is counted piece by piece and merged is what counting all at once would give."""

import random

import numpy as np
import pytest

from oasis_ray.stats.histogram import PERCENTILES, Histogram
from oasis_ray.stats.sample import HashSample, number

SMALL = [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]


def counted(lengths: list[int]) -> Histogram:
    made = Histogram()
    for length in lengths:
        made.add(length)
    return made


def test_mean_and_deviation_are_those_of_all_texts() -> None:
    made = counted(SMALL)
    assert (made.rows, made.mean, made.deviation) == (10, 8.8, pytest.approx(float(np.std(SMALL))))


def test_of_no_texts_all_is_nought() -> None:
    assert (Histogram().mean, Histogram().deviation, Histogram().percentiles(), Histogram().histogram()) == (
        0,
        0,
        {},
        [(0, 1, 0)],
    )


def test_a_percentile_is_the_least_length_that_so_many_do_not_exceed() -> None:
    assert counted(SMALL).percentiles() == {1: 0, 5: 0, 25: 1, 50: 3, 75: 13, 95: 34, 99: 34}
    assert counted([7]).percentiles() == dict.fromkeys(PERCENTILES, 7)


def test_merged_lengths_are_those_of_both() -> None:
    one, other = counted(SMALL[:4]), counted([*SMALL[4:], 100_000])
    one.merge(other)
    assert one == counted([*SMALL, 100_000])


@pytest.mark.parametrize(
    ("length", "kept"), [(1023, 1023), (1024, 1024), (1025, 1024), (2049, 2048), (123_456, 123_392)]
)
def test_a_long_text_keeps_ten_bits_of_its_length(length: int, kept: int) -> None:
    made = counted([length])
    assert (list(made.bins), made.mean) == ([kept], length)
    assert 0 <= length - kept < length / 512


def test_a_histogram_holds_every_text_in_round_bins() -> None:
    made = counted([*range(100), 5000])
    found = made.histogram()
    assert sum(rows for *_, rows in found) == 101
    assert (found[0], found[-1]) == ((0, 5, 5), (100, None, 1))


def test_the_lowest_are_the_same_in_any_order_and_by_any_way() -> None:
    ranks = [number(f"row {n}") for n in range(1000)]
    expected = sorted(ranks)[:7]
    for seed in range(3):
        random.Random(seed).shuffle(ranks)
        parts = [HashSample(7) for _ in range(4)]
        for at, rank in enumerate(ranks):
            parts[at % 4].add(rank, rank)
        for part in parts[1:]:
            parts[0].merge(part)
        assert parts[0].chosen() == expected


@pytest.mark.parametrize("items", [["a", "b"], ["b", "a"]])
def test_of_two_items_with_one_number_the_lesser_is_kept(items: list[str]) -> None:
    some = HashSample(5)
    for item in items:
        some.add(1, item)
    assert some.chosen() == ["a"]


def test_the_lowest_of_few_are_all_of_them() -> None:
    some = HashSample(5)
    for rank in (3, 1, 3, 2):
        some.add(rank, f"item {rank}")
    assert some.chosen() == ["item 1", "item 2", "item 3"]
