"""Funnel: how many rows reached each node and how many left there, from a run's manifest and counts alone."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oasis_ray.output.counts import Counts
from oasis_ray.recipe.spec import RateSpec
from oasis_ray.types import FAILED, MAIN

ADMIT = "admit"


@dataclass(frozen=True)
class Exit:
    """How rows leave a node's route: to `rejected` or `failed`, with the reason, or to another route."""

    to: str
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.to}: {self.reason}" if self.reason is not None else f"to route {self.to}"


@dataclass(frozen=True)
class Passage:
    """A node of the funnel: the rows that reached it, and by exit those that left its route there.

    elements: of a node with `for_each`, the elements that it worked on. dropped: those that it dropped, by exit.
    """

    node: str
    rows: int
    left: Mapping[Exit, int]
    elements: int = 0
    dropped: Mapping[Exit, int] = field(default_factory=dict)

    @property
    def through(self) -> int:
        """Rows that continued to the next node of the route."""
        return self.rows - sum(self.left.values())


def passages(manifest: Mapping[str, Any], counts: Counts) -> list[Passage]:
    """Return every node in order, admission first. A fully scored row counts at the node that first rejected it."""
    left: dict[str, Counter[Exit]] = defaultdict(Counter)
    for (outcome, node, reason), rows in sorted(counts.reasons.items()):
        left[node][Exit(outcome, reason)] = rows
    onward = {node["name"]: node.get("to") for node in manifest["nodes"]}
    for (node, route, reason), rows in sorted(counts.moves.items()):
        if reason or route != onward.get(node):  # rows that continue on the route of `to` have passed the node
            left[node][Exit(route)] += rows
    elements: dict[str, Counter[Exit]] = defaultdict(Counter)
    for (node, outcome, reason), many in sorted(counts.elements.items()):
        elements[node][Exit(outcome, reason)] = many
    nodes = [Passage(ADMIT, counts.rows, left[ADMIT])]
    on_route = Counter({MAIN: nodes[0].through})
    for node in manifest["nodes"]:
        exits = left[node["name"]]
        for route in node["diverts"]:
            exits[Exit(route)] += 0  # a route that no row has taken is shown with 0 rows
            on_route[route] += exits[Exit(route)]
        made = elements[node["name"]]
        dropped = {leaving: many for leaving, many in made.items() if leaving.to}
        passage = Passage(node["name"], on_route[node["route"]], exits, made.total(), dropped)
        on_route[node["route"]] = 0
        on_route[node.get("to") or node["route"]] += passage.through
        nodes.append(passage)
    return nodes


def shares(manifest: Mapping[str, Any], counts: Counts) -> list[tuple[RateSpec, int, int]]:
    """Return for each published rate the rows that passed its nodes, and those that reached them and did not fail."""
    by_name = {passage.node: passage for passage in passages(manifest, counts)}
    order = list(by_name)
    rates = []
    for rate in map(RateSpec.model_validate, manifest["rates"]):
        if rate.from_ not in by_name or rate.to not in by_name:
            continue  # the job disables one of them
        between = [by_name[name] for name in order[order.index(rate.from_) : order.index(rate.to) + 1]]
        failed = sum(rows for passage in between for leaving, rows in passage.left.items() if leaving.to == FAILED)
        rates.append((rate, between[-1].through, between[0].rows - failed))
    return rates
