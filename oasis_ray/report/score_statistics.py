"""Schema of the scores in `statistics.json`: by axis, which is the name of a node.

The scores of a node with `for_each` are those of elements of lists, and each of them is counted as one.
"""

from pydantic import BaseModel, ConfigDict, Field

ELEMENTS = "Whether these are scores of elements of lists, each counted as one; else they are scores of rows."


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Axis(_Part):
    """Scores of a judge that are integers: rows or elements by score."""

    axis: str
    counts: dict[int, int]
    mean: float
    low: int = Field(1, description="The lowest score of the judge's scale.")
    high: int = Field(5, description="The highest score of the judge's scale.")
    elements: bool = Field(False, description=ELEMENTS)


class NumberBin(_Part):
    """Bin of a histogram of numbers: rows with a number of at least `low` and below `high`.

    The last bin includes `high`.
    """

    low: float
    high: float
    rows: int


class Measure(_Part):
    """Numbers with decimals of a node: scores, or probabilities."""

    axis: str
    rows: int
    mean: float
    least: float
    most: float
    percentiles: dict[int, float]
    histogram: list[NumberBin] = []
    at_least: dict[float, float] = Field(
        {}, description="Share of the numbers that are at least 0.1, 0.2, … 0.9, where all are within 0 to 1."
    )
    elements: bool = Field(False, description=ELEMENTS)


class Correlation(_Part):
    """Pearson correlation of two axes, over the rows or elements scored on both. Null if one of them is constant."""

    one: str
    other: str
    rows: int
    pearson: float | None
    elements: bool = Field(False, description=ELEMENTS)
