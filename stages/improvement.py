"""Improvement: computes the increase from one score to another, as in MM-INF's recipe prompt_evolve.

MM-INF computes both scores and keeps every row; `at_least` keeps those that got better.
"""

from dataclasses import dataclass

from pydantic import Field

from oasis_ray.stage import REJECTED, Divert, RowStage


@dataclass(frozen=True, slots=True)
class In:
    """The score before, and the score after."""

    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Out:
    """How much it has risen; negative if it has fallen."""

    gain: float


class Improvement(RowStage[In, Out]):
    """Subtracts the scores, and rejects rows that gained too little."""

    at_least: float | None = Field(
        None, allow_inf_nan=False, description="Reject rows that gain less. Without it the gain is only noted."
    )

    def apply(self, row: In) -> Out | Divert:
        """Return the gain, or reject the row. A score that is not a number is no gain."""
        out = Out(round(float(row.after - row.before), 9))  # 0.3 - 0.1 is 0.2
        if self.at_least is None or out.gain >= self.at_least:
            return out
        return Divert(REJECTED, "no_improvement", f"from {row.before:g} to {row.after:g}", out)
