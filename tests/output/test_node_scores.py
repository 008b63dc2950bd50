"""Scores of nodes in a part: one for each row, or one for each element of a list, with those of the same one."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.output.node_scores import ScoreColumn, Scores, score_columns, scores_of

WHOLE, DECIMAL = pa.struct({"score": pa.int64(), "reply": pa.string()}), pa.struct({"score": pa.float64()})
SURE = pa.struct({"choice": pa.string(), "probability": pa.float64()})
NODES = pa.struct({
    "clarity": WHOLE, "gain": DECIMAL, "sure": SURE,
    "each": pa.list_(WHOLE), "each_gain": pa.list_(DECIMAL), "each_sure": pa.list_(SURE), "other": pa.list_(WHOLE),
    "word": pa.struct({"score": pa.string()}), "many": pa.struct({"score": pa.list_(pa.int64())}),
    "counted": pa.struct({"probability": pa.int64()}), "turns": pa.list_(pa.struct({"from": pa.string()})),
    "texts": pa.list_(pa.string()), "text": pa.string(),
    "said": pa.struct({"score": pa.string(), "probability": pa.float64()}),
})  # fmt: skip
COLUMNS = [
    ScoreColumn("clarity", "score", whole=True, listed=False),
    ScoreColumn("gain", "score", whole=False, listed=False),
    ScoreColumn("sure", "probability", whole=False, listed=False),
    ScoreColumn("each", "score", whole=True, listed=True),
    ScoreColumn("each_gain", "score", whole=False, listed=True),
    ScoreColumn("each_sure", "probability", whole=False, listed=True),
    ScoreColumn("other", "score", whole=True, listed=True),
    ScoreColumn("said", "probability", whole=False, listed=False),
]
GROUPS = {"each": "hooks", "each_gain": "hooks", "each_sure": "hooks", "other": "captions"}
GIVEN: dict[str, tuple[dict[str, Any], tuple[Scores, ...]]] = {
    "no outputs": ({}, ()),
    "scores of a row": (
        {"clarity": {"score": 4, "reply": "[[4]]"}, "gain": {"score": -0.5}, "sure": {"probability": 0.75}},
        (Scores({"clarity": 4}, {"gain": -0.5, "sure": 0.75}),),
    ),
    "null": ({"clarity": {"score": None}, "sure": {"choice": "Yes", "probability": None}, "each": [None]}, ()),
    "the elements of one group": (
        {"each": [{"score": 5}, None, {"score": 2}], "each_gain": [None, {"score": 0.5}, {"score": 1.5}],
         "each_sure": [{"probability": 0.25}, None, {"probability": None}]},
        (Scores({"each": 5}, {"each_sure": 0.25}, True), Scores({"each": 2}, {"each_gain": 1.5}, True),
         Scores({}, {"each_gain": 0.5}, True)),
    ),
    "elements of two groups, and a row": (
        {"clarity": {"score": 1}, "each": [{"score": 2}], "other": [{"score": 3}, {"score": 4}]},
        (Scores({"clarity": 1}, {}), Scores({"each": 2}, {}, True), Scores({"other": 3}, {}, True),
         Scores({"other": 4}, {}, True)),
    ),
    "an empty list": ({"each": [], "other": None}, ()),
}  # fmt: skip


def test_a_node_has_a_column_if_its_score_or_its_probability_is_a_number() -> None:
    assert score_columns(pa.schema({"id": pa.string(), "nodes": NODES})) == COLUMNS
    assert score_columns(pa.schema({"id": pa.string()})) == []
    assert score_columns(pa.schema({"nodes": pa.null()})) == []


@pytest.mark.parametrize(("nodes", "expected"), GIVEN.values(), ids=GIVEN)
def test_scores_of_the_same_row_or_element_are_together(
    nodes: dict[str, Any], expected: tuple[Scores, ...], tmp_path: Path
) -> None:
    every = [dict.fromkeys(NODES.names) | nodes]
    pq.write_table(pa.table({"nodes": pa.array(every, NODES)}), tmp_path / "a.parquet")
    (read,) = pq.ParquetFile(tmp_path / "a.parquet").read(columns=[one.path for one in COLUMNS]).to_pylist()
    assert scores_of(read["nodes"], COLUMNS, GROUPS) == expected


def test_where_the_groups_are_not_known_the_scores_of_an_element_are_apart() -> None:
    nodes = {"each": [{"score": 2}], "other": [{"score": 3}]}
    columns = [one for one in COLUMNS if one.node in nodes]
    apart = (Scores({"each": 2}, {}, True), Scores({"other": 3}, {}, True))
    assert scores_of(nodes, columns, {}) == apart
    assert scores_of(nodes, columns, {"each": "hooks"}) == apart
    together = scores_of(nodes, columns, {"each": "hooks", "other": "hooks"})
    assert together == (Scores({"each": 2, "other": 3}, {}, True),)
