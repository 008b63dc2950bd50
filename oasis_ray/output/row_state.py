"""State of a row that waits for a later phase: all that is needed to resume it, except its image."""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import pyarrow as pa

from oasis_ray.output.schema import ELEMENTS, MOVE, step_of, written_by
from oasis_ray.recipe.elements import Elements, restored
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.recipe.routes import diverted
from oasis_ray.recipe.row import Move, Row
from oasis_ray.stage.signature import build
from oasis_ray.types import MAIN, REJECTED, Divert

FIRST = pa.struct({"node": pa.string(), "reason": pa.string(), "detail": pa.string()})


def waiting_columns(recipe: Recipe) -> pa.Schema:
    """Return the schema of the parts of waiting rows. It has no image."""
    text = dict.fromkeys(("at", "route", "node", "reason", "detail"), pa.string())
    nodes = pa.struct([(node.name, written_by(node)) for node in recipe.nodes])
    state = {
        "place": pa.int32(),
        "first": FIRST,
        "nodes": nodes,
        "lineage": pa.list_(step_of(recipe)),
        "image_sha256": pa.string(),
        "moves": pa.list_(MOVE),
    } | ({"elements": ELEMENTS} if recipe.has_elements else {})
    return pa.schema({"id": pa.string(), **text, **state})


def state(row: Row, recipe: Recipe) -> dict[str, Any]:
    """Return one row of such a part. `place` is the index of the node `at` which the row resumes."""
    indices = {node.name: index for index, node in enumerate(recipe.nodes)}
    first = (
        dict(zip(FIRST.names, (row.first[0], row.first[1].reason, row.first[1].detail), strict=True))
        if row.first
        else None
    )
    return {
        "id": row.id, "at": row.at, "place": indices[row.at], "route": row.route, "first": first,
        "node": row.node, "reason": row.reason, "detail": row.detail,
        "nodes": outputs(row),
        "lineage": row.lineage, "image_sha256": row.digest, "moves": row.moves,
    } | ({"elements": elements(row)} if recipe.has_elements else {})  # fmt: skip


def outputs(row: Row) -> dict[str, Any]:
    """Return the outputs of a row's nodes as Arrow takes them."""
    return {
        name: out.outputs() if isinstance(out, Elements) else asdict(out)
        for name, out in row.values.items()
        if is_dataclass(out) and not isinstance(out, type)
    }


def elements(row: Row) -> list[dict[str, Any]]:
    """Return the column `elements`: for each node with `for_each`, how many elements it worked on and dropped."""
    return [out.summary(name) for name, out in row.values.items() if isinstance(out, Elements)]


def resume(row: Row, state: Mapping[str, Any], recipe: Recipe) -> None:
    """Restore a row from its `state`."""
    row.at, row.route, row.lineage, row.digest = (
        state["at"], state["route"], state["lineage"], state["image_sha256"]
    )  # fmt: skip
    moves = state.get("moves")  # None: from an earlier version
    row.moves = _implied(row.route, recipe) if moves is None else moves
    row.node, row.reason, row.detail = state["node"], state["reason"], state["detail"]
    if (first := state["first"]) is not None:
        row.first = first["node"], Divert(REJECTED, first["reason"], first["detail"])
    summaries = {entry["node"]: entry for entry in state.get("elements") or ()}
    for node in recipe.nodes:
        if (output := state["nodes"][node.name]) is None:
            continue
        if node.for_each:
            row.values[node.name] = restored(node.group, node.out_type, output, summaries[node.name])
        else:
            row.values[node.name] = build(node.out_type, output)


def _implied(route: str, recipe: Recipe) -> list[dict[str, Any]]:
    """Return the move of a row that an earlier version left waiting without its moves: to its route, by the first node
    that diverts rows to it.
    """
    nodes = [node for node in recipe.nodes if route != MAIN and route in diverted(node)]
    return [asdict(Move(nodes[0].name, route, "", ""))] if nodes else []
