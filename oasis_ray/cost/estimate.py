"""A figure that is predicted from some rows of many: the value, the interval that should hold it, and what it came to.

Shares have Wilson's binomial interval, sums over rows a bootstrap one: the same sum over the rows drawn again and
again, with replacement. Both are for 95%, and neither counts on the sample being a good part of the whole.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, computed_field

CONFIDENCE = 0.95
Z = 1.959964  # of the normal distribution, for this confidence
TAILS = (2.5, 97.5)
ROUNDING = 1e-9  # of sums in floating point
DRAWS, SEED = 1000, 0  # of the bootstrap

Array = NDArray[np.float64]


class Estimate(BaseModel):
    """One figure of a forecast: `what`, and `of` which node, pool or outcome. `actual` is None before the job ran."""

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
        """Whether the interval holds what it came to; None as long as that is not known."""
        if self.actual is None:
            return None
        rounding = ROUNDING * max(1.0, abs(self.actual))
        return self.low - rounding <= self.actual <= self.high + rounding


def of_share(what: str, of: str, rows: int, sample: int, total: int) -> Estimate:
    """How many of `total` rows, where it was `rows` of a sample."""
    low, high = wilson(rows, sample)
    return Estimate(what=what, of=of, predicted=rows / sample * total, low=low * total, high=high * total)


def of_sum(what: str, of: str, values: Array, draws: Array, total: int) -> Estimate:
    """The sum over `total` rows, from the values of a sample and its `draws`."""
    low, high = np.percentile(draws @ values, TAILS) * total
    return Estimate(what=what, of=of, predicted=float(values.mean()) * total, low=float(low), high=float(high))


def draw(rows: int) -> Array:
    """Bootstrap samples: a line each, with the weight of every row; times the values of the rows it is their mean."""
    found: Array = np.random.default_rng(SEED).multinomial(rows, [1 / rows] * rows, DRAWS) / rows
    return found


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share."""
    share, z2 = part / whole, Z * Z / whole
    middle, half = share + z2 / 2, Z * sqrt(share * (1 - share) / whole + z2 / whole / 4)
    return max(0.0, (middle - half) / (1 + z2)), min(1.0, (middle + half) / (1 + z2))
