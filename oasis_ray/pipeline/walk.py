"""The walk of a row: from node to node until it has an outcome or waits for a later phase."""

import time
from collections.abc import Mapping
from typing import Any

from oasis_ray.pipeline.node import NodeRunner
from oasis_ray.recipe.row import Row
from oasis_ray.types import Divert, Route


def fresh_row(row: Mapping[str, Any]) -> Row:
    """A row of the source that nothing was done with."""
    return Row(row["id"], row["source"], row.get("image"), None, origin=row.get("origin"))


async def walk(ended: Row, source: Mapping[str, Any], runners: list[NodeRunner], *, in_full: bool) -> None:
    """Take a row through the nodes of its route until one sends it to an end, none is left, or it has to wait.

    A row that is drawn to be scored in full goes on past a judge that rejects it, as far as the judges go; it still
    ends by the first of them, so the accepted set is the same.
    """
    names = [runner.node.name for runner in runners]
    for runner in runners[names.index(ended.at) if ended.at in names else 0 :]:
        node = runner.node
        if node.route is not ended.route:
            continue
        if ended.first is not None and not node.stage.judges:
            break
        ended.at, ended.since = node.name, time.monotonic()
        if node.pool is not None and runner.pool is None:
            ended.waits = True
            return
        result = await runner.run(ended, source)
        if not isinstance(result, Divert):
            ended.values[node.name] = result
            continue
        if result.out is not None:
            ended.values[node.name] = result.out
        if result.route is Route.REJECTED and node.stage.judges and in_full:
            ended.first = ended.first or (node.name, result)
        elif ended.first is None:
            settle(ended, node.name, result)
    ended.in_full = in_full and any(runner.node.stage.judges and runner.node.name in ended.values for runner in runners)
    if ended.first is not None:
        settle(ended, *ended.first)


def settle(ended: Row, node: str, divert: Divert) -> Row:
    """Send a row where `divert` says, with the node and the reason."""
    ended.route, ended.node, ended.reason, ended.detail = divert.route, node, divert.reason, divert.detail
    return ended
