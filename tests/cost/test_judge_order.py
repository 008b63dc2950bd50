"""Judge order: the cheapest of all orders is found, and judges that use another's output keep their place."""

import random
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.cost.judge_order import EXACT, best_order, groups, work_of
from oasis_ray.job.load import load_job

TABLE = [
    # by judge: which rows it passes, and its work per row
    ({"a": "1111", "b": "0000"}, {"a": 1.0, "b": 1.0}, ("b", "a")),
    ({"a": "1111", "b": "0000"}, {"a": 1.0, "b": 9.0}, ("b", "a")),
    ({"a": "0111", "b": "0011"}, {"a": 1.0, "b": 9.0}, ("a", "b")),
    ({"a": "1111", "b": "1111"}, {"a": 5.0, "b": 1.0}, ("a", "b")),
    ({"a": "0111", "b": "0111", "c": "1000"}, {"a": 1.0, "b": 1.0, "c": 1.0}, ("c", "a", "b")),
    ({"a": "0011", "b": "1100", "c": "0111"}, {"a": 2.0, "b": 1.0, "c": 0.1}, ("c", "b", "a")),
]


@pytest.mark.parametrize(("passing", "price", "best"), TABLE)
def test_the_cheapest_order_is_found(passing: dict[str, str], price: dict[str, float], best: tuple[str, ...]) -> None:
    passes = {name: np.array([letter == "1" for letter in letters]) for name, letters in passing.items()}
    work = {name: np.full(4, each) for name, each in price.items()}
    assert best_order(tuple(passing), passes, work) == best


def test_no_order_is_cheaper_than_the_best_one() -> None:
    chance = random.Random(3)
    for judges in (2, 3, 5, 6):
        names = tuple("abcdefgh"[:judges])
        passes = {name: np.array([chance.random() < 0.7 for _ in range(40)]) for name in names}
        work = {name: np.array([chance.expovariate(1) for _ in range(40)]) for name in names}
        least = min(work_of(order, passes, work) for order in permutations(names))
        assert work_of(best_order(names, passes, work), passes, work) == pytest.approx(least)


def test_many_judges_are_ordered_by_work_per_rejected_row() -> None:
    names = tuple(f"j{number}" for number in range(EXACT + 1))
    passes = {name: np.arange(100) >= number * 5 for number, name in enumerate(names)}
    work = {name: np.ones(100) for name in names}
    assert best_order(names, passes, work)[0] == names[-1]


def test_adjacent_judges_may_be_reordered(job_file: Callable[..., Path]) -> None:
    _, recipe = load_job(job_file(), SHIPPED)
    assert groups(recipe.nodes) == [
        ("nonsense", "hallucination", "solvability", "clarity"),
        ("caption_language", "caption_information", "caption_coherence"),
    ]
    nodes = {name: {"enabled": True} for name in ("helpful", "truthful")}
    _, recipe = load_job(job_file(nodes=nodes), SHIPPED)
    assert groups(recipe.nodes)[1] == ("helpful", "truthful")


def test_a_single_judge_is_no_group(job_file: Callable[..., Path]) -> None:
    off = {name: {"enabled": False} for name in ("caption_language", "caption_information")}
    _, recipe = load_job(job_file(nodes=off), SHIPPED)
    assert groups(recipe.nodes) == [("nonsense", "hallucination", "solvability", "clarity")]
