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


ELEMENT_STEP = struct_of(Step)
STEP = pa.struct([column for column in ELEMENT_STEP if column.name != "element"])  # of recipes without `for_each`
MOVE = struct_of(Move)
DROPPED_ELEMENT = pa.struct(
    {"element": pa.int64(), "outcome": pa.string(), "reason": pa.string(), "detail": pa.string()}
)
ELEMENTS = pa.list_(pa.struct({"node": pa.string(), "count": pa.int64(), "dropped": pa.list_(DROPPED_ELEMENT)}))


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
        "lineage": pa.list_(step_of(recipe)), "scored_in_full": pa.bool_(), "image_sha256": pa.string(),
        "origin": pa.string(), "source": ADDRESS, "moves": pa.list_(MOVE),
    }  # fmt: skip
    if recipe.has_elements:
        trace["elements"] = ELEMENTS
    if outcome in recipe.records and len(kept):
        trace["columns"] = kept
    return pa.schema({**common, **ending, **trace})


def step_of(recipe: Recipe) -> pa.StructType:
    """Return the Arrow type of a step of the lineage. Only recipes with `for_each` have the field `element`."""
    return ELEMENT_STEP if recipe.has_elements else STEP


def written_by(node: Node) -> pa.DataType:
    """Return the Arrow type of a node's output: with `for_each` a list, with null for elements without output."""
    struct = struct_of(node.out_type)
    return pa.list_(struct) if node.for_each else struct
