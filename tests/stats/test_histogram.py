"""Merged histograms and samples equal those of all values together."""

import random

import numpy as np
import pytest

from oasis_ray.stats.histogram import PERCENTILES, Histogram
from oasis_ray.stats.sample import HashSample, number

SMALL = [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]


def counted(lengths: list[int]) -> Histogram:
    histogram = Histogram()
    for length in lengths:
        histogram.add(length)
    return histogram


def test_mean_and_deviation_are_exact() -> None:
    histogram = counted(SMALL)
    assert (histogram.rows, histogram.mean, histogram.deviation) == (10, 8.8, pytest.approx(float(np.std(SMALL))))


def test_an_empty_histogram_gives_zeros() -> None:
    assert (Histogram().mean, Histogram().deviation, Histogram().percentiles(), Histogram().histogram()) == (
        0,
        0,
        {},
        [(0, 1, 0)],
    )


def test_a_percentile_is_the_smallest_length_that_this_share_does_not_exceed() -> None:
    assert counted(SMALL).percentiles() == {1: 0, 5: 0, 25: 1, 50: 3, 75: 13, 95: 34, 99: 34}
    assert counted([7]).percentiles() == dict.fromkeys(PERCENTILES, 7)


def test_merged_histograms_count_all_lengths() -> None:
    first, other = counted(SMALL[:4]), counted([*SMALL[4:], 100_000])
    first.merge(other)
    assert first == counted([*SMALL, 100_000])


@pytest.mark.parametrize(
    ("length", "kept"), [(1023, 1023), (1024, 1024), (1025, 1024), (2049, 2048), (123_456, 123_392)]
)
def test_a_long_text_keeps_ten_bits_of_its_length(length: int, kept: int) -> None:
    histogram = counted([length])
    assert (list(histogram.bins), histogram.mean) == ([kept], length)
    assert 0 <= length - kept < length / 512


def test_a_histogram_has_every_text_in_round_bins() -> None:
    bins = counted([*range(100), 5000]).histogram()
    assert sum(rows for *_, rows in bins) == 101
    assert (bins[0], bins[-1]) == ((0, 5, 5), (100, None, 1))


def test_a_sample_is_the_same_in_any_order_and_division() -> None:
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
def test_the_lesser_of_two_items_of_the_same_rank_is_kept(items: list[str]) -> None:
    sample = HashSample(5)
    for item in items:
        sample.add(1, item)
    assert sample.chosen() == ["a"]


def test_a_sample_of_few_items_has_all_of_them() -> None:
    sample = HashSample(5)
    for rank in (3, 1, 3, 2):
        sample.add(rank, f"item {rank}")
    assert sample.chosen() == ["item 1", "item 2", "item 3"]
