"""Pick draws a word by shares; a row's chance decides, and the order of the recipe."""

import json
import pickle

import pytest
from oasis_ray.content.stages.pick import In, Out, Pick
from pydantic import ValidationError

from oasis_ray.recipe.recipe import Node
from oasis_ray.stage import Chance
from oasis_ray.types import MAIN

LAST = 1 - 2**-31  # the highest chance that the framework draws


@pytest.mark.parametrize(
    ("shares", "chance", "choice"),
    [
        ({"a": 1}, 0.0, "a"),
        ({"a": 1}, LAST, "a"),
        ({"a": 3, "b": 1}, 0.0, "a"),
        ({"a": 3, "b": 1}, 0.7499, "a"),
        ({"a": 3, "b": 1}, 0.75, "b"),
        ({"a": 3, "b": 1}, LAST, "b"),
        ({"b": 1, "a": 3}, 0.0, "b"),
        ({"b": 1, "a": 3}, 0.25, "a"),
        ({"a": 0.1, "b": 0.2, "c": 0.7}, 0.1, "b"),
        ({"a": 0.1, "b": 0.2, "c": 0.7}, LAST, "c"),
        ({"a": 1e-9, "b": 1e9}, 0.0, "a"),
        ({"a": 1e9, "b": 1e-9}, LAST, "a"),
        ({"a": 0, "b": 1, "c": 0, "d": 1, "e": 0}, 0.0, "b"),
        ({"a": 0, "b": 1, "c": 0, "d": 1, "e": 0}, 0.5, "d"),
        ({"a": 0, "b": 1, "c": 0, "d": 1, "e": 0}, LAST, "d"),
        ({"a": 5e-324}, 1 - 2**-53, "a"),  # the product is rounded up to the whole
    ],
)
def test_a_word_is_drawn_in_the_order_of_the_recipe(shares, chance, choice):
    assert Pick(shares=shares).apply(In(Chance(chance))) == Out(choice)


def test_words_are_drawn_as_often_as_their_shares_say():
    stage = Pick(shares={"choice": 171, "answer": 199, "reasoning": 100})
    drawn = [stage.apply(In(Chance(i / 4_700))).choice for i in range(4_700)]
    assert {word: drawn.count(word) for word in stage.shares} == {"choice": 1710, "answer": 1990, "reasoning": 1000}


def test_a_word_whose_share_is_0_is_none_that_a_row_may_have():
    assert Pick(shares={"a": 0, "b": 1}).words("choice") == ("b",)


def test_the_order_of_the_shares_counts_in_the_digest():
    one, other = (
        Node("n", "pick", Pick(shares=shares), None, MAIN, {}) for shares in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    )
    assert json.loads(json.dumps(one.given)) == {"shares": [["a", 1.0], ["b", 2.0]]}
    assert one.digest(None) != other.digest(None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "shares\n  Field required"),
        ({"shares": {}}, "shares\n  Dictionary should have at least 1 item"),
        ({"shares": {"a": 0, "b": 0}}, "shares\n  Value error, every share is 0"),
        ({"shares": {"a": 1, "b": -1}}, "shares.b\n  Input should be greater than or equal to 0"),
        ({"shares": {"a": float("inf")}}, "shares.a\n  Input should be a finite number"),
        ({"shares": {"a": float("nan")}}, "shares.a\n  Input should be"),
        ({"shares": {"a": "many"}}, "shares.a\n  Input should be a valid number"),
        ({"shares": {True: 1}}, "[key]\n  Input should be a valid string"),
        ({"shares": ["a", "b"]}, "shares\n  Input should be a valid dictionary"),
    ],
)
def test_pick_refuses_parameters_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        Pick.model_validate(given)
    assert message in str(error.value)


def test_pick_is_frozen_and_survives_pickling():
    stage = Pick(shares={"a": 1, "b": 2})
    with pytest.raises(ValidationError, match="Instance is frozen"):
        stage.shares = {"a": 1}
    assert pickle.loads(pickle.dumps(stage)) == stage
