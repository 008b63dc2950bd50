"""The gate accepts or rejects rows by rules over several scores; the reason names the rule."""

import pickle
from itertools import product

import pytest
from oasis_ray.content.stages.gate import Gate, In, Out
from pydantic import ValidationError

from oasis_ray.stage import REJECTED, Divert

MM_INF = Gate.model_validate(
    {
        "at_least": {"solvability": 3, "clarity": 3, "hallucination": 5, "nonsense": 5},
        "sums": [{"axes": ["solvability", "clarity"], "at_least": 7}],
    }
)


def test_a_gate_without_rules_accepts_everything():
    assert Gate().apply(In({})) == Out(0)
    assert Gate().apply(In({"clarity": 1, "nonsense": 2})) == Out(3)


@pytest.mark.parametrize(
    ("solvability", "clarity", "hallucination", "nonsense", "reason"),
    [
        (5, 5, 5, 5, None),
        (3, 4, 5, 5, None),
        (4, 3, 5, 5, None),
        (3, 3, 5, 5, "solvability_clarity_below_7"),
        (2, 5, 5, 5, "solvability_below_3"),
        (5, 2, 5, 5, "clarity_below_3"),
        (5, 5, 4, 5, "hallucination_below_5"),
        (5, 5, 5, 4, "nonsense_below_5"),
        (1, 1, 1, 1, "solvability_below_3"),  # the first violated rule
    ],
)
def test_gate_keeps_mm_infs_rule(solvability, clarity, hallucination, nonsense, reason):
    scores = {"solvability": solvability, "clarity": clarity, "hallucination": hallucination, "nonsense": nonsense}
    expected = Divert(REJECTED, reason, str(scores)) if reason else Out(sum(scores.values()))
    assert MM_INF.apply(In(scores)) == expected


def test_gate_accepts_exactly_what_mm_infs_rule_accepts():
    for s, c, h, n in product(range(1, 6), repeat=4):
        accepted = isinstance(
            MM_INF.apply(In({"solvability": s, "clarity": c, "hallucination": h, "nonsense": n})), Out
        )
        assert accepted == (s >= 3 and c >= 3 and h == 5 and n == 5 and s + c >= 7)


def test_a_missing_score_violates_its_rule():
    assert MM_INF.apply(In({})) == Divert(REJECTED, "solvability_below_3", "{}")
    sums = Gate.model_validate({"sums": [{"axes": ["a", "b"], "at_least": 6}]})
    assert sums.apply(In({"a": 5})) == Divert(REJECTED, "a_b_below_6", "{'a': 5}")


def test_an_axis_without_a_rule_counts_in_the_total_only():
    assert Gate(at_least={"a": 3}).apply(In({"b": 1, "a": 3})) == Out(4)


def test_sums_are_checked_in_the_order_of_the_recipe():
    rules = [{"axes": ["a", "b", "c"], "at_least": 15}, {"axes": ["a", "b"], "at_least": 10}]
    row = In({"a": 1, "b": 1, "c": 1})
    assert Gate.model_validate({"sums": rules}).apply(row).reason == "a_b_c_below_15"
    assert Gate.model_validate({"sums": rules[::-1]}).apply(row).reason == "a_b_below_10"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sums": [{"axes": ["a", "b"], "at_least": 11}]}, "a + b can't reach 11: a score is at most 5"),
        ({"sums": [{"axes": [], "at_least": 0}]}, "sums.0.axes\n  Tuple should have at least 1 item"),
        ({"sums": [{"axes": ["a"]}]}, "sums.0.at_least\n  Field required"),
        ({"sums": [{"axes": ["a"], "at_least": 1, "most": 3}]}, "sums.0.most\n  Extra inputs are not permitted"),
        ({"at_least": {"a": 3.5}}, "at_least.a\n  Input should be a valid integer"),
        ({"at_least": {"a": 6}}, "can't reach 6"),
        ({"at_most": {"a": 3}}, "at_most\n  Extra inputs are not permitted"),
    ],
)
def test_gate_refuses_rules_that_cant_be_meant(given, message):
    with pytest.raises(ValidationError) as error:
        Gate.model_validate(given)
    assert message in str(error.value)


def test_gate_is_frozen_and_survives_pickling():
    with pytest.raises(ValidationError, match="Instance is frozen"):
        MM_INF.sums = ()
    assert pickle.loads(pickle.dumps(MM_INF)) == MM_INF
