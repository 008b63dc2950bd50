"""Copies are counted exactly while all texts are held; with more texts than that, shares are those of the whole."""

import random

import pytest

from oasis_ray.stats import near_duplicates as module
from oasis_ray.stats.near_duplicates import NearDuplicates

TEXT = "A small red circle is at the top right and a large blue ring is at the bottom left of it"


def counted(texts: list[str], size: int = 1000) -> NearDuplicates:
    made = NearDuplicates(size)
    for at, text in enumerate(texts):
        made.add_text(text, str(at))
    return made


@pytest.mark.parametrize(
    ("texts", "counts"),
    [
        ([TEXT, TEXT, TEXT], (3, 2, 0)),
        ([TEXT, f" {TEXT}\n"], (2, 1, 0)),  # blanks at the ends are no difference
        ([TEXT, TEXT.upper()], (2, 0, 1)),  # case and punctuation are: near
        ([TEXT, TEXT.replace(" and", ", and") + "!"], (2, 0, 1)),
        ([TEXT, "Quite another text, of other words, that has nothing in common with it"], (2, 0, 0)),
        (["yes", "no", "yes"], (3, 1, 0)),  # short texts are compared whole
        (["图中有一个红色的圆形", "图中有一个红色的圆形"], (2, 1, 0)),
        (["?!", "?!", ""], (0, 0, 0)),  # of no words nothing is said
    ],
)
def test_copies_and_near_copies_are_told_apart(texts: list[str], counts: tuple[int, int, int]) -> None:
    made = counted(texts)
    assert (made.counts(), made.rows) == (counts, len(texts))


def corpus(rows: int, seed: int = 0) -> list[str]:
    """Of ten texts one is a copy of another."""
    draw = random.Random(seed)
    fresh = [" ".join(f"word{draw.randrange(3000)}" for _ in range(30)) for _ in range(rows * 9 // 10)]
    texts = fresh + [draw.choice(fresh) for _ in range(rows - len(fresh))]
    draw.shuffle(texts)
    return texts


def test_merged_counts_are_those_of_all_texts() -> None:
    texts = corpus(1000)
    parts = [counted(texts[at::3]) for at in range(3)]
    for part in parts[1:]:
        parts[0].merge(part)
    assert parts[0].counts() == counted(texts).counts() == (1000, 100, 0)


def test_a_sample_holds_all_likes_of_what_it_holds() -> None:
    texts = corpus(20_000)
    parts = [counted(texts[at::4], size=1500) for at in range(4)]
    for part in parts[1:]:
        parts[0].merge(part)
    made = parts[0]
    sampled, copies, near = made.counts()
    assert made.held <= 1500 and made.bound < 2**64 and made.rows == 20_000
    assert (near, copies / sampled) == (0, pytest.approx(0.1, abs=0.03))


def test_a_crowd_of_texts_that_are_alike_is_counted_and_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CROWD", 5)
    made = NearDuplicates(1000)
    for mark in range(20):
        made.add(7, mark, None, str(mark))
    other = NearDuplicates(1000)
    other.add(7, 99, None, "99")
    made.merge(other)
    assert (made.counts(), made.held) == ((21, 0, 20), 5)


def test_counts_and_ids_do_not_depend_on_the_order() -> None:
    texts = [(TEXT, "b"), (TEXT, "c"), (TEXT.upper(), "a"), ("Other words", "e"), ("Other words", "d")]
    for seed in range(3):
        random.Random(seed).shuffle(texts)
        parts = [NearDuplicates(), NearDuplicates()]
        for at, (text, name) in enumerate(texts):
            parts[at % 2].add_text(text, name)
        parts[0].merge(parts[1])
        assert (parts[0].counts(), parts[0].most(5)) == ((5, 2, 1), [("b", 2), ("d", 2)])


def test_what_comes_most_often_is_told_with_an_id() -> None:
    assert counted(["a", "b", "a", "c", "c", "a"]).most(2) == [("0", 3), ("3", 2)]
