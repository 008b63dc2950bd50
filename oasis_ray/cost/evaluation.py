"""Grade a forecast: set what a run came to beside what its probe had said."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from oasis_ray.cost.bill import HOUR_S, Bill
from oasis_ray.cost.forecast import MEMORY, Forecast, counts
from oasis_ray.cost.throughput import Throughput
from oasis_ray.output.counts import Counts


def grade(forecast: Forecast, manifest: Mapping[str, Any]) -> Forecast:
    """The forecast with what the run with this manifest came to."""
    came = actual(manifest)
    # What no row did is not among the counts.
    figures = tuple(one.model_copy(update={"actual": came.get((one.what, one.of), 0.0)}) for one in forecast.figures)
    pace = Throughput.of(manifest, forecast.rows)
    busiest = max(pace.pools, key=pace.busy) if pace else None
    return forecast.model_copy(update={"figures": figures, "actual_bottleneck": busiest})


def actual(manifest: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    """Every figure that a forecast may hold, as it came to be, by what it is of what."""
    reasons = {(one["fate"], one["node"], one["reason"]): one["rows"] for one in manifest["reasons"]}
    bill, sessions = Bill.model_validate(manifest["bill"]), manifest["sessions"]
    found: dict[tuple[str, str], float] = dict(counts(manifest, Counts(Counter(manifest["rows"]), Counter(reasons))))
    for node, cost in manifest["cost"].items():
        found["tokens read", node], found["tokens written", node] = cost["prompt_tokens"], cost["reply_tokens"]
    for pool, spent in bill.pools.items():
        found["GPU-hours", pool] = spent.gpu_seconds / HOUR_S
    found["GPU-hours", ""] = bill.total.gpu_seconds / HOUR_S
    found["money", ""] = bill.total.money or 0.0
    found["wall time, s", ""] = sum(one.get("seconds_loading", 0.0) + one.get("seconds", 0.0) for one in sessions)
    found[MEMORY, ""] = max((one.get("peak_memory_mib", 0) for one in sessions), default=0)
    return found


def same_job(probe: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
    """Whether a run has the nodes and the input of a probe, so that it can be set beside what the probe said."""
    nodes, inputs = ([{n["name"]: n["digest"] for n in one["nodes"]} for one in (probe, run)],
                     [{**one["job"]["input"], "sample": None} for one in (probe, run)])  # fmt: skip
    return nodes[0] == nodes[1] and inputs[0] == inputs[1] and run["input"]["rows"] == probe["forecast"]["rows"]
