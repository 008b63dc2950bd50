"""Choice probabilities: how likely each of a request's choices is, from the first token of the reply."""

from collections.abc import Iterable
from math import exp

from oasis_ray.errors import RowError

TOP = 20  # most likely first tokens that are asked for: what vLLM and the OpenAI API return at most


def choice_probabilities(choices: Iterable[str], tokens: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return the probability of each choice, 1 in all, from first tokens and their log-probabilities.

    A token counts for the choice that begins with it; one that begins several choices, or none, does not count. A
    server that does not constrain replies may write ` yes` for `Yes`: space and case are ignored.

    Raises RowError `no_choice_probability` if no token begins a choice.
    """
    weights = dict.fromkeys(choices, 0.0)
    seen = list(tokens)
    for token, logarithm in seen:
        key = token.strip().casefold()
        begun = [choice for choice in weights if key and choice.casefold().startswith(key)]
        if len(begun) == 1:
            weights[begun[0]] += exp(logarithm)
    total = sum(weights.values())
    if not total:
        text = ", ".join(repr(token) for token, _ in seen[:5])
        raise RowError(
            "no_choice_probability", f"none of {', '.join(weights)} begins with one of the likely tokens: {text}"
        )
    return {choice: weight / total for choice, weight in weights.items()}
