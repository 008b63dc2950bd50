"""Moves: how many rows changed to another route, by node, route and reason.

Parts of earlier versions have no column `moves`. Their recipes had one node that diverted rows to each route, so a
row's last route implies its move.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from oasis_ray.output.outcomes import records_of
from oasis_ray.types import MAIN

Moves = Counter[tuple[str, str, str]]


def count_moves(table: pa.Table, outcome: str, manifest: Mapping[str, Any]) -> Moves:
    """Return the moves of the rows in a part: from its column `moves`, or as its outcome (and column `node`) imply."""
    moves: Moves = Counter()
    if "moves" in table.column_names:
        steps = table.column("moves").combine_chunks().flatten()
        columns = pa.table({name: steps.field(name) for name in ("node", "route", "reason")})
        for group in columns.group_by(["node", "route", "reason"]).aggregate([([], "count_all")]).to_pylist():
            moves[group["node"], group["route"], group["reason"]] += group["count_all"]
        return moves
    nodes = table.column("node").value_counts().to_pylist() if "node" in table.column_names else []
    ends = {(outcome, end["values"] or ""): end["counts"] for end in nodes} or {(outcome, ""): table.num_rows}
    return implied_moves(ends, manifest)


def implied_moves(ends: Mapping[tuple[str, str], int], manifest: Mapping[str, Any]) -> Moves:
    """Return the moves of rows that ended at these outcomes and nodes, in a run of a version that recorded no moves."""
    moves: Moves = Counter()
    records = records_of(manifest)
    routes = {node["name"]: node["route"] for node in manifest["nodes"]}
    for (outcome, node), rows in ends.items():
        route = records.get(outcome) or routes.get(node, MAIN)
        at = next((other["name"] for other in manifest["nodes"] if route in other["diverts"]), None)
        if route != MAIN and at is not None and rows:
            moves[at, route, ""] += rows
    return moves
