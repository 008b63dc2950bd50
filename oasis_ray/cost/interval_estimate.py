"""Estimates from a sample of rows: predicted value, 95% interval, and the actual value once it is known.

Shares have Wilson's score interval, sums over rows a bootstrap interval (the sum over rows resampled with replacement).
Neither corrects for the sample being a large part of the whole.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, computed_field

CONFIDENCE = 0.95
Z = 1.959964  # quantile of the normal distribution for this confidence
TAILS = (2.5, 97.5)
ROUNDING = 1e-9  # relative error of floating-point sums
DRAWS, SEED = 1000, 0  # of the bootstrap

Array = NDArray[np.float64]


class Estimate(BaseModel):
    """One figure of a forecast: `what`, `of` which node, pool or outcome. `actual` is None until the job has run."""

    model_config = ConfigDict(frozen=True)

    what: str
    of: str = ""
    predicted: float
    low: float
    high: float
    actual: float | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def inside(self) -> bool | None:
        """Whether the actual value is within the interval; None if it is not known."""
        if self.actual is None:
            return None
        rounding = ROUNDING * max(1.0, abs(self.actual))
        return self.low - rounding <= self.actual <= self.high + rounding


def of_share(what: str, of: str, rows: int, sample: int, total: int) -> Estimate:
    """Estimate a number of rows among `total`, from `rows` among `sample`."""
    low, high = wilson(rows, sample)
    return Estimate(what=what, of=of, predicted=rows / sample * total, low=low * total, high=high * total)


def of_sum(what: str, of: str, values: Array, draws: Array, total: int) -> Estimate:
    """Estimate a sum over `total` rows from the values of a sample's rows and their bootstrap weights, `draw`."""
    low, high = np.percentile(draws @ values, TAILS) * total
    return Estimate(what=what, of=of, predicted=float(values.mean()) * total, low=float(low), high=float(high))


def draw(rows: int) -> Array:
    """Return bootstrap weights, [DRAWS, rows]; multiplied by the values of the rows they give means."""
    weights: Array = np.random.default_rng(SEED).multinomial(rows, [1 / rows] * rows, DRAWS) / rows
    return weights


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Return Wilson's 95% score interval of the share `part / whole`."""
    share, z2 = part / whole, Z * Z / whole
    middle, half = share + z2 / 2, Z * sqrt(share * (1 - share) / whole + z2 / whole / 4)
    return max(0.0, (middle - half) / (1 + z2)), min(1.0, (middle + half) / (1 + z2))
