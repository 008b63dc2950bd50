"""Pick: draws one of several words by their shares, such as the kind of question to ask for.

Genixer (arXiv 2312.06731) and Unicorn (arXiv 2503.22655) make data of several kinds in fixed shares.
"""

from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated

from pydantic import Field, field_serializer, field_validator

from oasis_ray.stage import Chance, RowStage


@dataclass(frozen=True, slots=True)
class In:
    """The draw."""

    chance: Chance


@dataclass(frozen=True, slots=True)
class Out:
    """The word."""

    choice: str


class Pick(RowStage[In, Out]):
    """Draws a word. A row gets the same one in each run with the same seed."""

    shares: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        min_length=1,
        description="The share of each word. They need not add up to 1: with `{a: 3, b: 1}` three of four rows get a. "
        "No row gets a word whose share is 0.",
    )

    def words(self, field: str) -> tuple[str, ...]:
        """Return the words that may be drawn."""
        return tuple(word for word, share in self.shares.items() if share)

    @field_validator("shares")
    @classmethod
    def _one_can_be_drawn(cls, shares: dict[str, float]) -> dict[str, float]:
        if not any(shares.values()):
            raise ValueError("every share is 0; give a word that is to be drawn a larger one")
        return shares

    @field_serializer("shares")
    def _in_order(self, shares: dict[str, float]) -> list[tuple[str, float]]:
        """Write the shares as a list: their order decides over the draw, and a digest ignores that of a mapping."""
        return list(shares.items())

    def apply(self, row: In) -> Out:
        """Return the word in whose part of the line from 0 to the sum the draw falls, in the order of the recipe."""
        words = self.words("choice")
        *ends, total = accumulate(self.shares[word] for word in words)
        return Out(words[bisect(ends, row.chance * total)])
