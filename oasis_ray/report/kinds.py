"""Kinds of text that a report counts: instruction and response of accepted rows, and the response of each other record.

The names of the other records are those of their folders, as the recipe of the run declares them.
"""

from collections.abc import Iterable

from oasis_ray.output.outcomes import kept
from oasis_ray.types import ACCEPTED

INSTRUCTION, RESPONSE = "instruction", "response"
IMAGE = "image"  # no text, but counted for duplicates beside them
EXCHANGES = "exchanges"  # the unit of the lengths of conversations
TAKEN = (INSTRUCTION, RESPONSE, IMAGE)


def response_of(outcome: str) -> str:
    """Return the kind of text that the response of a record is: the name of the record, of accepted rows `response`."""
    if outcome == ACCEPTED:
        return RESPONSE
    return f"{outcome}: response" if outcome in TAKEN else outcome


def kinds_of(outcomes: Iterable[str]) -> tuple[str, ...]:
    """Return all kinds of text of rows with these outcomes, in their order: instruction and response first."""
    return tuple(records_by_kind(outcomes))


def records_by_kind(outcomes: Iterable[str]) -> dict[str, str]:
    """Return the record that each kind of text is of."""
    others = {response_of(outcome): outcome for outcome in kept(outcomes) if outcome != ACCEPTED}
    return {INSTRUCTION: ACCEPTED, RESPONSE: ACCEPTED, **others}
