"""Compute the statistics of the report that only a run has."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from oasis_ray.cost.bill import Amount, Bill
from oasis_ray.cost.forecast import Forecast
from oasis_ray.output.counts import Counts, Usage
from oasis_ray.output.funnel import passages, shares
from oasis_ray.output.ledger import counts_of
from oasis_ray.output.moves import implied_moves
from oasis_ray.output.outcomes import records_of
from oasis_ray.report import statistics as schema
from oasis_ray.report.totals import Totals


def of_run(path: str, manifest: Mapping[str, Any], totals: Totals, outcomes: Counter[str]) -> dict[str, Any]:
    """Return the statistics that only a run has: records, funnel, rates, cost, forecast."""
    if "cost" in manifest and manifest["state"] == "done":
        costs = {node: Usage(**cost) for node, cost in manifest["cost"].items()}
        stated = manifest.get("elements", ())
        elements = Counter({(one["node"], one["outcome"], one["reason"]): one["elements"] for one in stated})
    else:
        counts = counts_of(path)
        costs, elements = counts.costs, counts.elements
    moves = totals.moves + implied_moves(totals.ends, manifest)
    tally = Counts(outcomes, Counter(totals.reasons), moves, elements=elements)
    spent = Bill.model_validate(manifest["bill"]) if "bill" in manifest else Bill()
    return {
        "recipe": manifest["recipe"],
        "state": manifest["state"],
        "records": records_of(manifest),
        "published": manifest.get("published"),
        "funnel": [
            schema.Passage(
                node=one.node,
                rows=one.rows,
                through=one.through,
                left={str(leaving): rows for leaving, rows in one.left.items()},
                elements=one.elements,
                dropped={str(leaving): elements for leaving, elements in one.dropped.items()},
            )
            for one in passages(manifest, tally)
        ],
        "rates": [
            schema.Rate(say=rate.label, rows=rows, of=of, published=rate.published)
            for rate, rows, of in shares(manifest, tally)
        ],
        "cost": schema.Cost(
            nodes=[
                schema.NodeCost(node=node["name"], **vars(costs[node["name"]]), **_spent(spent.nodes.get(node["name"])))
                for node in manifest["nodes"]
                if node["name"] in costs
            ],
            seconds=sum(session.get("seconds", 0) for session in manifest["sessions"]),
            seconds_loading=sum(session.get("seconds_loading", 0) for session in manifest["sessions"]),
            currency=spent.currency,
            ends=[schema.EndCost.model_validate(line, from_attributes=True) for line in spent.lines],
            **_spent(spent.total if spent.pools else None),
        ),
        "forecast": _forecast(manifest),
    }


def _spent(amount: Amount | None) -> dict[str, Any]:
    return {} if amount is None else {"gpu_seconds": amount.gpu_seconds, "money": amount.money}


def _forecast(manifest: Mapping[str, Any]) -> schema.Forecast | None:
    if "forecast" not in manifest:
        return None
    forecast = Forecast.model_validate(manifest["forecast"])
    if not forecast.graded:  # the manifest of a probe: the forecast run has not ended
        return None
    return schema.Forecast(
        probe_rows=forecast.probe_rows,
        confidence=forecast.confidence,
        bottleneck=forecast.sizes[0].bottleneck if forecast.sizes else None,
        actual_bottleneck=forecast.actual_bottleneck,
        figures=[schema.Predicted.model_validate(one, from_attributes=True) for one in forecast.figures],
    )
