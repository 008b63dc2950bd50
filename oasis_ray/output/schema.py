"""The columns of a run's Parquet parts, one schema an outcome. `docs/run-folder.md` describes each.

A row that waits for a later phase (`phases`) is written with all that is needed to go on: `state`, and back: `resume`.
"""

import pyarrow as pa

from oasis_ray.input.columns import ADDRESS, IMAGE
from oasis_ray.recipe.recipe import Node, Recipe, passed
from oasis_ray.stage.signature import arrow, types_of
from oasis_ray.types import OUTCOME_OF, Outcome

TURN = pa.struct({"from": pa.string(), "value": pa.string()})
STEP = pa.struct(
    {
        "node": pa.string(), "digest": pa.string(), "seed": pa.int64(), "finish": pa.string(),
        "prompt_tokens": pa.int64(), "cached_tokens": pa.int64(), "reply_tokens": pa.int64(),
        "started": pa.float64(), "seconds": pa.float64(), "engine": pa.string(), "engine_seconds": pa.float64(),
    }
)  # fmt: skip


def columns(recipe: Recipe, outcome: Outcome) -> pa.Schema:
    """The columns of a part of `outcome`."""
    common = {"id": pa.string(), "image": IMAGE}
    route = next(route for route, name in OUTCOME_OF.items() if name is outcome)
    if route in recipe.records:
        nodes = passed(recipe.nodes, route)
        scores = pa.struct([(axis, pa.int64()) for axis in recipe.records[route].scores])
        ending = {
            "conversations": pa.list_(TURN), "data_source": pa.string(), "instruction": pa.string(),
            "response": pa.string(),
        } | ({"scores": scores} if len(scores) else {})  # fmt: skip  # Parquet knows no empty struct
    else:
        nodes = list(recipe.nodes)
        ending = {"node": pa.string(), "reason": pa.string(), "detail": pa.string()}
        if outcome is Outcome.FAILED:
            ending["error"] = ending.pop("detail")
    trace = {
        "nodes": pa.struct([(node.name, written_by(node)) for node in nodes]),
        "lineage": pa.list_(STEP), "scored_in_full": pa.bool_(), "image_sha256": pa.string(), "origin": pa.string(),
        "source": ADDRESS,
    }  # fmt: skip
    return pa.schema({**common, **ending, **trace})


def written_by(node: Node) -> pa.DataType:
    """The Arrow type of what a node writes."""
    return pa.struct([(name, arrow(kind)) for name, kind in types_of(node.out_type).items()])
