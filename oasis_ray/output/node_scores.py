"""Scores of nodes in a part: the number of a node's output, its field `score` or else `probability`.

A score is an integer or a number with decimals; a probability has decimals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

SCORE, PROBABILITY = "score", "probability"


@dataclass(frozen=True, slots=True)
class ScoreColumn:
    """Column of a part with the numbers of a node. `whole`: they are integers."""

    node: str
    field: str
    whole: bool

    @property
    def path(self) -> str:
        """The column's path in the Parquet file."""
        return f"nodes.{self.node}.{self.field}"

    def number(self, nodes: Mapping[str, Any] | None) -> Any:
        """Return the number among the outputs of a row's nodes; None if the row has none."""
        return ((nodes or {}).get(self.node) or {}).get(self.field)


def score_columns(schema: pa.Schema) -> list[ScoreColumn]:
    """Return the columns of a part that hold numbers of nodes, one for each node that has them."""
    nodes = schema.field("nodes").type if "nodes" in schema.names else pa.null()
    columns = [_column(node.name, node.type) for node in (nodes if pa.types.is_struct(nodes) else ())]
    return [column for column in columns if column is not None]


def number_of(out: Mapping[str, Any]) -> Any:
    """Return the value of the field of an output that may be a number."""
    return out[SCORE] if out.get(SCORE) is not None else out.get(PROBABILITY)


def _column(node: str, output: pa.DataType) -> ScoreColumn | None:
    kinds = {field.name: field.type for field in (output if pa.types.is_struct(output) else ())}
    score, probability = kinds.get(SCORE, pa.null()), kinds.get(PROBABILITY, pa.null())
    if pa.types.is_integer(score) or pa.types.is_floating(score):
        return ScoreColumn(node, SCORE, pa.types.is_integer(score))
    return ScoreColumn(node, PROBABILITY, whole=False) if pa.types.is_floating(probability) else None
