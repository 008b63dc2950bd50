"""Branch sends a row to the route of its word; other words stay, or fail."""

import pickle

import pytest
from oasis_ray.content.stages.branch import Branch, In, Out
from pydantic import ValidationError

from oasis_ray.stage import FAILED, REJECTED, Divert

ROUTES = {"rec": "boxes", "reg": "words", "point": "words", "bad": REJECTED}
STAY = Branch(routes=ROUTES)
FAIL = Branch(routes=ROUTES, otherwise="failed")


@pytest.mark.parametrize("stage", [STAY, FAIL])
@pytest.mark.parametrize(
    ("choice", "route"), [("rec", "boxes"), ("reg", "words"), ("point", "words"), ("bad", REJECTED)]
)
def test_a_row_goes_to_the_route_of_its_word(choice, route, stage):
    assert stage.apply(In(choice)) == Divert(route, f"branch_{choice}", choice)


@pytest.mark.parametrize("choice", ["", "other", "REC", "rec ", "boxes", "a\0b"])
def test_a_row_with_another_word_stays_or_fails(choice):
    assert STAY.apply(In(choice)) == Out(choice)
    assert FAIL.apply(In(choice)) == Divert(FAILED, "no_branch", f"{choice!r} is not one of: rec, reg, point, bad")


def test_the_exits_are_the_routes_each_once():
    assert STAY.exits == ("boxes", "words", REJECTED)
    assert FAIL.exits == STAY.exits


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "routes\n  Field required"),
        ({"routes": {}}, "routes\n  Dictionary should have at least 1 item"),
        ({"routes": ["a"]}, "routes\n  Input should be a valid dictionary"),
        ({"routes": {"yes": True}}, "routes.yes\n  Input should be a valid string"),
        ({"routes": {True: "a"}}, "[key]\n  Input should be a valid string"),
        ({"routes": {"a": "b"}, "otherwise": "rejected"}, "otherwise\n  Input should be 'stay' or 'failed'"),
    ],
)
def test_branch_refuses_parameters_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        Branch.model_validate(given)
    assert message in str(error.value)


def test_branch_is_frozen_and_survives_pickling():
    with pytest.raises(ValidationError, match="Instance is frozen"):
        STAY.otherwise = "failed"
    assert pickle.loads(pickle.dumps(STAY)) == STAY
