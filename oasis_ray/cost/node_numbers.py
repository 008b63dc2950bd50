"""Numbers of nodes in a probe, from which a threshold is chosen: quantiles, and what share thresholds would keep."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from oasis_ray.output.node_scores import score_columns, scores_of
from oasis_ray.output.outcomes import outcomes_of
from oasis_ray.output.parts import read_parts
from oasis_ray.stats.numbers import Numbers

QUANTILES = (5, 25, 50, 75, 95)


class NodeNumbers(BaseModel):
    """Numbers with decimals of a node, scores or probabilities: of the rows that reached it, or of their elements."""

    model_config = ConfigDict(frozen=True)

    node: str
    elements: bool = Field(False, description="The numbers are those of elements of lists, each counted as one.")
    rows: int
    quantiles: dict[int, float] = Field(description="By percentage.")
    at_least: dict[float, float] = Field(
        {}, description="Share of the numbers that are at least 0.1, 0.2, … 0.9, where all are within 0 to 1."
    )


def node_numbers(folder: str, manifest: Mapping[str, Any]) -> tuple[NodeNumbers, ...]:
    """Return the numbers of the nodes of a run in the order of its nodes, without nodes that have none."""
    numbers: dict[str, Numbers] = defaultdict(Numbers)
    of_elements = set[str]()
    for outcome in outcomes_of(manifest):
        for table in read_parts(folder, outcome, ["nodes"]):
            columns = [column for column in score_columns(table.schema) if not column.whole]
            for row in table.to_pylist() if columns else ():
                for scores in scores_of(row["nodes"], columns, {}):
                    of_elements.update(scores.decimal if scores.element else ())
                    for node, number in scores.decimal.items():
                        numbers[node].add(number)
    return tuple(
        _summary(node, numbers[node], elements=node in of_elements)
        for node in (one["name"] for one in manifest["nodes"])
        if node in numbers and numbers[node].rows
    )


def _summary(node: str, numbers: Numbers, *, elements: bool) -> NodeNumbers:
    percentiles = numbers.percentiles()
    quantiles = {point: percentiles[point] for point in QUANTILES}
    return NodeNumbers(
        node=node, elements=elements, rows=numbers.rows, quantiles=quantiles, at_least=numbers.grid.at_least()
    )
