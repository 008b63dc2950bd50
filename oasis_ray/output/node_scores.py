"""Scores of nodes in a part: the number of a node's output, its field `score` or else `probability`.

A score is an integer or a number with decimals; a probability has decimals. A node with `for_each` has one for each
element of a list.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

SCORE, PROBABILITY = "score", "probability"


class Scores(NamedTuple):
    """Scores that belong together, by node: those of a row, or those of one element of its lists (`element`)."""

    whole: dict[str, int]
    decimal: dict[str, float]
    element: bool = False


@dataclass(frozen=True, slots=True)
class ScoreColumn:
    """Column of a part with the numbers of a node. `whole`: they are integers. `listed`: a row has a list of them."""

    node: str
    field: str
    whole: bool
    listed: bool

    @property
    def path(self) -> str:
        """The column's path in the Parquet file."""
        return f"nodes.{self.node}.{'list.element.' * self.listed}{self.field}"

    def numbers(self, nodes: Mapping[str, Any] | None) -> Iterator[tuple[int | None, Any]]:
        """Yield the numbers in the outputs of a row's nodes, each with its position if it is that of an element."""
        output = (nodes or {}).get(self.node)
        for position, one in enumerate(output or ()) if self.listed else ((None, output),):
            if one is not None and one[self.field] is not None:
                yield position, one[self.field]


def score_columns(schema: pa.Schema) -> list[ScoreColumn]:
    """Return the columns of a part that hold numbers of nodes, one for each node that has them."""
    nodes = schema.field("nodes").type if "nodes" in schema.names else pa.null()
    columns = [_column(node.name, node.type) for node in (nodes if pa.types.is_struct(nodes) else ())]
    return [column for column in columns if column is not None]


def scores_of(
    nodes: Mapping[str, Any] | None, columns: Sequence[ScoreColumn], groups: Mapping[str, str]
) -> tuple[Scores, ...]:
    """Return the scores in the outputs of a row's nodes: those of the row, and those of each element of its lists.

    groups: the group of each node with `for_each` (`recipe.elements`), as far as it is known. Scores of two nodes are
    those of the same element if they have one group and one position.
    """
    found: dict[tuple[str, int | None], Scores] = {}
    for column in columns:
        group = groups.get(column.node, f"{column.node}[]") if column.listed else ""
        for position, number in column.numbers(nodes):
            scores = found.setdefault((group, position), Scores({}, {}, column.listed))
            if column.whole:
                scores.whole[column.node] = number
            else:
                scores.decimal[column.node] = number
    return tuple(found.values())


def number_of(out: Mapping[str, Any]) -> Any:
    """Return the value of the field of an output that may be a number."""
    return out[SCORE] if out.get(SCORE) is not None else out.get(PROBABILITY)


def _column(node: str, output: pa.DataType) -> ScoreColumn | None:
    listed = pa.types.is_list(output)
    struct = output.value_type if listed else output
    kinds = {field.name: field.type for field in (struct if pa.types.is_struct(struct) else ())}
    score, probability = kinds.get(SCORE, pa.null()), kinds.get(PROBABILITY, pa.null())
    if pa.types.is_integer(score) or pa.types.is_floating(score):
        return ScoreColumn(node, SCORE, pa.types.is_integer(score), listed)
    return ScoreColumn(node, PROBABILITY, False, listed) if pa.types.is_floating(probability) else None
