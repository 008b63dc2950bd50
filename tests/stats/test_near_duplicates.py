"""Duplicates are counted without loss while all texts are kept; of more texts, shares are estimated from a sample."""

import random

import numpy as np
import pytest

from oasis_ray.stats.near_duplicates import GRAM, NearDuplicates, signature_of
from oasis_ray.stats.sample import number

TEXT = "A small red circle is at the top right and a large blue ring is at the bottom left of it"


def counted(texts: list[str], size: int = 1000) -> NearDuplicates:
    duplicates = NearDuplicates(size)
    for at, text in enumerate(texts):
        duplicates.add_text(text, str(at))
    return duplicates


def merged(texts: list[str], parts: int, size: int = 1000) -> NearDuplicates:
    first, *others = [counted(texts[at::parts], size) for at in range(parts)]
    for other in others:
        first.merge(other)
    return first


@pytest.mark.parametrize(
    ("texts", "counts"),
    [
        ([TEXT, TEXT, TEXT], (3, 2, 0)),
        ([TEXT, f" {TEXT}\n"], (2, 1, 0)),  # blanks at the ends make no difference
        ([TEXT, TEXT.upper()], (2, 0, 1)),  # case and punctuation do: near
        ([TEXT, TEXT.replace(" and", ", and") + "!"], (2, 0, 1)),
        ([TEXT, "Quite another text, of other words, that has nothing in common with it"], (2, 0, 0)),
        (["yes", "no", "yes"], (3, 1, 0)),  # a short text is compared as a whole
        (["图中有一个红色的圆形", "图中有一个红色的圆形"], (2, 1, 0)),
        (["?!", "?!", ""], (0, 0, 0)),  # texts without words are not compared
    ],
)
def test_exact_and_near_duplicates_are_counted_apart(texts: list[str], counts: tuple[int, int, int]) -> None:
    duplicates = counted(texts)
    assert (duplicates.counts(), duplicates.rows) == (counts, len(texts))


def corpus(rows: int, seed: int = 0) -> list[str]:
    """One text in ten is an exact duplicate of another."""
    draw = random.Random(seed)
    fresh = [" ".join(f"word{draw.randrange(3000)}" for _ in range(30)) for _ in range(rows * 9 // 10)]
    texts = fresh + [draw.choice(fresh) for _ in range(rows - len(fresh))]
    draw.shuffle(texts)
    return texts


def pairs(count: int, changed: int, words: int = 184, seed: int = 0) -> list[str]:
    """Pairs of texts of which the second has `changed` other words, so far apart that each changes GRAM 5-grams.

    Their Jaccard similarity is (n - 5 changed) / (n + 5 changed) with n = words - 4.
    """
    draw = random.Random(seed)
    texts = []
    for _ in range(count):
        first = [f"word{draw.randrange(10**9)}" for _ in range(words)]
        second = list(first)
        for at in range(changed):
            second[GRAM + at * (words - 2 * GRAM) // changed] = f"other{draw.randrange(10**9)}"
        texts += [" ".join(first), " ".join(second)]
    return texts


@pytest.mark.parametrize(
    ("changed", "similarity", "least", "most"),
    [(2, 0.895, 0.999, 1), (4, 0.8, 0.95, 1), (6, 0.714, 0.2, 0.5), (9, 0.6, 0, 0.005), (20, 0.286, 0, 0)],
)
def test_pairs_are_found_with_the_stated_probability(
    changed: int, similarity: float, least: float, most: float
) -> None:
    assert (180 - 5 * changed) / (180 + 5 * changed) == pytest.approx(similarity, abs=0.001)
    _, exact, near = counted(pairs(1000, changed), size=2000).counts()
    assert exact == 0 and least <= near / 1000 <= most


@pytest.mark.parametrize("changed", [1, 4])
def test_a_sample_estimates_the_share_of_near_duplicates(changed: int) -> None:
    sampled, exact, near = merged(pairs(4000, changed), parts=3, size=2000).counts()
    assert (sampled, exact, near / sampled) == (2000, 0, pytest.approx(0.5, abs=0.05))


@pytest.mark.parametrize("texts", [3, 20, 2000])
def test_a_sample_estimates_the_share_also_where_many_texts_are_alike(texts: int) -> None:
    draw = random.Random(0)
    groups = [pairs(1, 4, words=50, seed=group)[0] for group in range(4000 // texts)]
    alike = [f"{group} word{draw.randrange(10**9)}" for group in groups for _ in range(texts)]
    sampled, _, near = merged(alike, parts=3, size=500).counts()
    assert (sampled, near / sampled) == (500, pytest.approx((texts - 1) / texts, abs=0.05))


def test_merged_counts_are_those_of_all_texts() -> None:
    texts = corpus(1000)
    assert merged(texts, 3).counts() == counted(texts).counts() == (1000, 100, 0)


@pytest.mark.parametrize("parts", [1, 4, 7])
def test_a_sample_is_the_same_however_the_rows_were_divided(parts: int) -> None:
    texts = corpus(10_000)
    duplicates, whole = merged(texts, parts, size=900), counted(texts[::-1], size=900)
    sampled, exact, near = duplicates.counts()
    assert (sampled, exact, near) == whole.counts() and duplicates.texts.keys() == whole.texts.keys()
    assert (len(duplicates.texts), duplicates.rows, near) == (900, 10_000, 0)
    assert exact / sampled == pytest.approx(0.1, abs=0.03)


def test_memory_is_bounded_also_where_all_share_a_key() -> None:
    duplicates, other = NearDuplicates(5), NearDuplicates(5)
    for content in range(20):
        duplicates.add(7, content, None, str(content))
        assert len(duplicates.texts) <= 7
    other.add(7, 99, None, "99")
    duplicates.merge(other)
    assert (duplicates.counts(), duplicates.rows, len(duplicates.texts)) == ((5, 0, 4), 21, 5)


def test_counts_and_ids_do_not_depend_on_the_order() -> None:
    texts = [(TEXT, "b"), (TEXT, "c"), (TEXT.upper(), "a"), ("Other words", "e"), ("Other words", "d")]
    for seed in range(3):
        random.Random(seed).shuffle(texts)
        parts = [NearDuplicates(), NearDuplicates()]
        for at, (text, name) in enumerate(texts):
            parts[at % 2].add_text(text, name)
        parts[0].merge(parts[1])
        assert (parts[0].counts(), parts[0].most(5)) == ((5, 2, 1), [("b", 2), ("d", 2)])


def test_the_most_frequent_texts_come_with_an_id() -> None:
    assert counted(["a", "b", "a", "c", "c", "a"]).most(2) == [("0", 3), ("3", 2)]


def test_signatures_are_those_of_every_version() -> None:
    # Reports of two versions are compared, so a version of datasketch with other signatures has to be noticed.
    signature = signature_of(np.array([number(word) for word in TEXT.split()], np.uint64))
    assert (signature.dtype, signature.shape, signature[:4].tolist()) == (
        np.uint32, (128,), [64602866, 111271838, 86780792, 34685963],
    )  # fmt: skip
