"""Schemas of a run's Parquet parts: one per outcome. `docs/run-folder.md` describes each column.

Rows that wait for a later phase have a schema of their own: see `row_state`.
"""

import pyarrow as pa

from oasis_ray.input.columns import ADDRESS, IMAGE
from oasis_ray.recipe.recipe import Node, Recipe
from oasis_ray.recipe.routes import possible
from oasis_ray.recipe.row import Move, Step
from oasis_ray.stage.signature import arrow, types_of
from oasis_ray.types import FAILED

TURN = pa.struct({"from": pa.string(), "value": pa.string()})


def struct_of(dataclass: type) -> pa.StructType:
    """Return the Arrow struct of a dataclass: one field per field. Raises TypeError as `signature.arrow` does."""
    return pa.struct([(name, arrow(kind)) for name, kind in types_of(dataclass).items()])


STEP = struct_of(Step)
MOVE = struct_of(Move)


def columns(recipe: Recipe, outcome: str) -> pa.Schema:
    """Return the schema of the parts of `outcome`."""
    common = {"id": pa.string(), "image": IMAGE}
    if record := recipe.records.get(outcome):
        nodes = possible(recipe.nodes, record.route)
        scores = pa.struct([(axis, arrow(recipe.type_of(refs))) for axis, refs in record.scores.items()])
        of_recipe = {name: arrow(recipe.type_of(refs)) for name, refs in record.columns.items()}
        kept = pa.struct(list({**of_recipe, **recipe.kept}.items()))
        ending = {
            "conversations": pa.list_(TURN), "data_source": pa.string(), "instruction": pa.string(),
            "response": pa.string(),
        } | ({"scores": scores} if len(scores) else {})  # fmt: skip  # Parquet has no empty struct
    else:
        nodes = list(recipe.nodes)
        ending = {"node": pa.string(), "reason": pa.string(), "detail": pa.string()}
        if outcome == FAILED:
            ending["error"] = ending.pop("detail")
    trace = {
        "nodes": pa.struct([(node.name, written_by(node)) for node in nodes]),
        "lineage": pa.list_(STEP), "scored_in_full": pa.bool_(), "image_sha256": pa.string(), "origin": pa.string(),
        "source": ADDRESS, "moves": pa.list_(MOVE),
    }  # fmt: skip
    if outcome in recipe.records and len(kept):
        trace["columns"] = kept
    return pa.schema({**common, **ending, **trace})


def written_by(node: Node) -> pa.StructType:
    """Return the Arrow type of a node's output."""
    return struct_of(node.out_type)
