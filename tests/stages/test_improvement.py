"""Improvement notes how much a score has risen, and rejects rows that gained too little."""

import pickle

import pytest
from oasis_ray.content.stages.improvement import Improvement, In, Out
from oasis_ray.content.stages.score import Out as Score
from pydantic import ValidationError

from oasis_ray.stage import REJECTED, Divert
from oasis_ray.stage.signature import accepts, inputs_of, types_of


@pytest.mark.parametrize(
    ("before", "after", "gain"),
    [(3, 5, 2), (5, 3, -2), (4, 4, 0), (0.1, 0.3, 0.2), (0.5, 1, 0.5), (-1.0, 1.0, 2.0)],
)
def test_without_a_bound_the_gain_is_only_noted(before, after, gain):
    out = Improvement().apply(In(before, after))
    assert out == Out(gain)
    assert type(out.gain) is float


@pytest.mark.parametrize(
    ("before", "after", "at_least", "expected"),
    [
        (3, 5, 2, Out(2.0)),
        (3, 4, 2, Divert(REJECTED, "no_improvement", "from 3 to 4", Out(1.0))),
        (7, 5, 0, Divert(REJECTED, "no_improvement", "from 7 to 5", Out(-2.0))),
        (5, 5, 0, Out(0.0)),
        (5, 5, 0.5, Divert(REJECTED, "no_improvement", "from 5 to 5", Out(0.0))),
        (5, 4, -1, Out(-1.0)),
        (0.1, 0.3, 0.2, Out(0.2)),  # as floats, 0.3 - 0.1 is less than 0.2
        (0.25, 0.3, 0.1, Divert(REJECTED, "no_improvement", "from 0.25 to 0.3", Out(0.05))),
    ],
)
def test_a_row_that_gained_less_is_rejected_and_its_gain_is_kept(before, after, at_least, expected):
    assert Improvement(at_least=at_least).apply(In(before, after)) == expected


def test_a_score_that_is_not_a_number_is_no_gain():
    result = Improvement(at_least=-9).apply(In(float("nan"), 3.0))
    assert (result.route, result.reason, result.detail) == (REJECTED, "no_improvement", "from nan to 3")


def test_a_whole_score_can_be_bound():
    wanted = inputs_of(In)
    assert wanted == {"before": float, "after": float}
    assert accepts(wanted["before"], types_of(Score)["score"])
    assert not accepts(wanted["before"], types_of(Score)["reply"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"at_least": "some"}, "at_least\n  Input should be a valid number"),
        ({"at_least": float("nan")}, "at_least\n  Input should be a finite number"),
        ({"atleast": 1}, "atleast\n  Extra inputs are not permitted"),
    ],
)
def test_improvement_refuses_parameters_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        Improvement.model_validate(given)
    assert message in str(error.value)


def test_improvement_is_frozen_and_survives_pickling():
    stage = Improvement(at_least=1)
    with pytest.raises(ValidationError, match="Instance is frozen"):
        stage.at_least = None
    assert pickle.loads(pickle.dumps(stage)) == stage
