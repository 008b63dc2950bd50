"""Walk: takes a row from node to node until it has an outcome or waits for a later phase."""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from oasis_ray.errors import RunError
from oasis_ray.pipeline.node import NodeRunner
from oasis_ray.recipe.row import Move, Row
from oasis_ray.types import DROPPED, REJECTED, Divert


def fresh_row(source: Mapping[str, Any]) -> Row:
    """Return a row of the source that no node has worked on."""
    return Row(
        source["id"],
        source["source"],
        source.get("image"),
        None,
        origin=source.get("origin"),
        kept=source.get("kept") or {},
    )


async def walk(row: Row, runners: list[NodeRunner], *, in_full: bool) -> None:
    """Take a row through the nodes of its route, until a node diverts it to an outcome or its next pool is not up.

    A row that is drawn to be scored in full (`in_full`) continues past a judge that rejects it, through the judges that
    follow. Its outcome is still that of the first rejection, so the accepted set is the same.
    """
    names = [runner.node.name for runner in runners]
    for runner in runners[names.index(row.at) if row.at in names else 0 :]:
        node = runner.node
        if node.route != row.route:
            continue
        if row.first is not None and not node.judges:
            break
        row.at, row.since = node.name, time.monotonic()
        if node.pool is not None and runner.pool is None:
            row.waits = True
            return
        result = await runner.run(row)
        if not isinstance(result, Divert):
            row.values[node.name] = result
            if row.first is None and node.to and node.to != row.route:
                move(row, Move(node.name, node.to, "", ""))
            continue
        moves, has_output = result.route not in DROPPED, result.route in node.stage.exits_with_output
        if moves and has_output != (result.out is not None):
            raise RunError(
                f"node '{node.name}': stage '{node.kind}' diverts a row to '{result.route}' "
                f"{'without' if has_output else 'with'} an output; its `exits_with_output` must say so"
            )
        if result.out is not None:
            row.values[node.name] = result.out
        result = replace(result, route=node.destination(result))
        if result.route == REJECTED and node.judges and in_full:
            row.first = row.first or (node.name, result)
        elif row.first is None:
            settle(row, node.name, result)
    row.in_full = in_full and any(runner.node.judges and runner.node.name in row.values for runner in runners)
    if row.first is not None:
        settle(row, *row.first)


def settle(row: Row, node: str, divert: Divert) -> Row:
    """Send a row to the route of `divert`, and record the node and the reason."""
    if divert.route in DROPPED:
        row.route = divert.route
        row.node, row.reason, row.detail = node, divert.reason, divert.detail
    else:
        move(row, Move(node, divert.route, divert.reason, divert.detail))
    return row


def move(row: Row, made: Move) -> None:
    """Send a row to another route, and record the move."""
    row.route = made.route
    row.moves.append(asdict(made))
