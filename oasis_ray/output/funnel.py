"""The funnel: how many rows came to each node and left there, from a run's manifest and tally alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oasis_ray.output.counts import Counts
from oasis_ray.recipe.spec import RateSpec
from oasis_ray.types import Route

ADMIT = "admit"


@dataclass(frozen=True)
class Passage:
    """A node: the rows that came to it, and those that left its route there, by reason."""

    node: str
    rows: int
    left: Mapping[str, int]

    @property
    def through(self) -> int:
        """The rows that went on to the next node of the route."""
        return self.rows - sum(self.left.values())


def passages(manifest: Mapping[str, Any], tally: Counts) -> list[Passage]:
    """Every node in order, admission first. A row that is scored in full counts where it was first rejected."""
    left: dict[str, dict[str, int]] = {}
    for (outcome, at, reason), rows in sorted(tally.reasons.items()):
        # A caption keeps the reason for which it left the main route; it is counted below, with the route's own.
        if outcome in ("rejected", "failed"):
            left.setdefault(at, {})[f"{outcome}: {reason}"] = rows
    found = [Passage(ADMIT, tally.rows, left.get(ADMIT, {}))]
    here: dict[str, int] = {Route.MAIN: found[0].through, Route.CAPTION: 0}
    captions = tally.outcomes["captions"] + sum(
        sum(left.get(node["name"], {}).values()) for node in manifest["nodes"] if node["route"] == Route.CAPTION
    )
    for node in manifest["nodes"]:
        gone = dict(left.get(node["name"], {}))
        if Route.CAPTION in node["diverts"]:
            gone["to route caption"] = here[Route.CAPTION] = captions
        passage = Passage(node["name"], here[node["route"]], gone)
        here[node["route"]] = passage.through
        found.append(passage)
    return found


def shares(manifest: Mapping[str, Any], tally: Counts) -> list[tuple[RateSpec, int, int]]:
    """For each published rate: the rows that came through, and the rows that came and did not fail."""
    by_name = {passage.node: passage for passage in passages(manifest, tally)}
    order = list(by_name)
    found = []
    for rate in map(RateSpec.model_validate, manifest["rates"]):
        if rate.from_ not in by_name or rate.to not in by_name:
            continue  # the job has switched one of them off
        between = [by_name[name] for name in order[order.index(rate.from_) : order.index(rate.to) + 1]]
        failed = sum(
            rows for passage in between for reason, rows in passage.left.items() if reason.startswith("failed")
        )
        found.append((rate, between[-1].through, between[0].rows - failed))
    return found
