"""The probability of a choice is that of the first tokens that begin it, and no other, among those of all choices."""

from math import log

import pytest

from oasis_ray.engine.choice_probabilities import choice_probabilities
from oasis_ray.errors import RowError


@pytest.mark.parametrize(
    ("choices", "tokens", "expected"),
    [
        (("Yes", "No"), {"Yes": 0.6, "No": 0.2}, {"Yes": 0.75, "No": 0.25}),
        (("Yes", "No"), {"Yes": 0.5, "Y": 0.1, "Ye": 0.1, "No": 0.2, "N": 0.1}, {"Yes": 0.7, "No": 0.3}),
        (("Yes", "No"), {" yes": 0.5, "YES": 0.25, "no": 0.25, "Perhaps": 0.4}, {"Yes": 0.75, "No": 0.25}),
        (("Yes", "No"), {"Yes": 1.0}, {"Yes": 1.0, "No": 0.0}),
        (("Yes", "No"), {"Yesterday": 0.9, "No": 0.1}, {"Yes": 0.0, "No": 1.0}),
        (("Yes", "No"), {" ": 0.8, "": 0.1, "No": 0.1}, {"Yes": 0.0, "No": 1.0}),  # white space begins nothing
        (("Bar", "Base"), {"Ba": 0.8, "Bar": 0.1, "Base": 0.1}, {"Bar": 0.5, "Base": 0.5}),  # `Ba` begins both
        (("是", "否"), {"是": 0.3, "否": 0.1, "\ufffd": 0.6}, {"是": 0.75, "否": 0.25}),
    ],
)
def test_a_token_counts_for_the_one_choice_that_begins_with_it(
    choices: tuple[str, ...], tokens: dict[str, float], expected: dict[str, float]
) -> None:
    found = choice_probabilities(choices, [(token, log(weight)) for token, weight in tokens.items()])
    assert found == pytest.approx(expected)
    assert sum(found.values()) == pytest.approx(1)


def test_tokens_that_begin_no_choice_fail_the_row() -> None:
    with pytest.raises(RowError, match="none of Yes, No begins with one of the likely tokens: 'The', ' a'") as failed:
        choice_probabilities(("Yes", "No"), [("The", -0.1), (" a", -3.0)])
    assert failed.value.reason == "no_choice_probability"
