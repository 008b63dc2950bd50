"""Gate: accepts rows by rules over several scores (MM-INF's accept rule has one: solvability + clarity ≥ 7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from oasis_ray.stage import REJECTED, Divert, RowStage


@dataclass(frozen=True, slots=True)
class In:
    """Scores by axis."""

    scores: dict[str, int]


@dataclass(frozen=True, slots=True)
class Out:
    """The sum of all input scores."""

    total: int


class Sum(BaseModel):
    """A minimum for the sum of some axes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    axes: tuple[str, ...] = Field(min_length=1)
    at_least: int


class Gate(RowStage[In, Out]):
    """Accepts rows that meet all rules; the reason names the first violated rule."""

    at_least: dict[str, int] = Field(default_factory=dict, description="Minimum score of single axes.")
    sums: tuple[Sum, ...] = Field((), description="Minimum sums: `{axes: [a, b], at_least: 7}`.")

    @field_validator("sums")
    @classmethod
    def _in_reach(cls, value: tuple[Sum, ...]) -> tuple[Sum, ...]:
        for rule in value:
            if rule.at_least > 5 * len(rule.axes):
                raise ValueError(f"{' + '.join(rule.axes)} can't reach {rule.at_least}: a score is at most 5")
        return value

    @field_validator("at_least")
    @classmethod
    def _on_the_scale(cls, value: dict[str, int]) -> dict[str, int]:
        for axis, least in value.items():
            if least > 5:
                raise ValueError(f"{axis} can't reach {least}: a score is at most 5")
        return value

    def problems(self, inputs: Mapping[str, Any]) -> list[str]:
        """Report rules over axes that are not bound: they would reject every row."""
        bound = inputs.get("scores", {})
        axes = dict.fromkeys([*self.at_least, *(axis for rule in self.sums for axis in rule.axes)])
        return [
            f"a rule reads the score '{axis}', which is not bound or comes from a disabled node; "
            f"remove the rule, or enable the node (bound: {', '.join(bound)})"
            for axis in axes
            if axis not in bound
        ]

    def apply(self, row: In) -> Out | Divert:
        """Return the sum of the scores, or reject the row. A missing score violates its rule."""
        for axis, least in self.at_least.items():
            if row.scores.get(axis, 0) < least:
                return Divert(REJECTED, f"{axis}_below_{least}", str(row.scores))
        for rule in self.sums:
            if sum(row.scores.get(axis, 0) for axis in rule.axes) < rule.at_least:
                return Divert(REJECTED, f"{'_'.join(rule.axes)}_below_{rule.at_least}", str(row.scores))
        return Out(sum(row.scores.values()))
