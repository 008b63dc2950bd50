"""Evaluation of a forecast: compares the predictions of a probe with the figures of the finished run."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from oasis_ray.cost.bill import HOUR_S, Bill
from oasis_ray.cost.forecast import MEMORY, Forecast, counts
from oasis_ray.cost.throughput import Throughput
from oasis_ray.output.counts import Counts


def grade(forecast: Forecast, manifest: Mapping[str, Any]) -> Forecast:
    """Return the forecast with the actual figures of the run with this manifest."""
    values = actual(manifest)
    # Counts of zero are missing among the actual figures.
    figures = tuple(
        figure.model_copy(update={"actual": values.get((figure.what, figure.of), 0.0)}) for figure in forecast.figures
    )
    throughput = Throughput.of(manifest, forecast.rows)
    busiest = max(throughput.pools, key=throughput.busy) if throughput else None
    return forecast.model_copy(update={"figures": figures, "actual_bottleneck": busiest})


def actual(manifest: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    """Return the actual value of every figure that a forecast may have, by `what` and `of`."""
    reasons = {(entry["fate"], entry["node"], entry["reason"]): entry["rows"] for entry in manifest["reasons"]}
    bill, sessions = Bill.model_validate(manifest["bill"]), manifest["sessions"]
    moves = {(entry["node"], entry["route"], entry["reason"]): entry["rows"] for entry in manifest["moves"]}
    ended = Counts(Counter(manifest["rows"]), Counter(reasons), Counter(moves))
    values: dict[tuple[str, str], float] = dict(counts(manifest, ended))
    for node, usage in manifest["cost"].items():
        values["tokens read", node] = usage["prompt_tokens"]
        values["tokens written", node] = usage["reply_tokens"]
    for pool, spent in bill.pools.items():
        values["GPU-hours", pool] = spent.gpu_seconds / HOUR_S
    values["GPU-hours", ""] = bill.total.gpu_seconds / HOUR_S
    values["money", ""] = bill.total.money or 0.0
    values["wall time, s", ""] = sum(
        session.get("seconds_loading", 0.0) + session.get("seconds", 0.0) for session in sessions
    )
    values[MEMORY, ""] = max((session.get("peak_memory_mib", 0) for session in sessions), default=0)
    return values


def same_job(probe: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
    """Return whether a run has the nodes and input of a probe, so that the probe's forecast applies to it."""
    nodes = [{node["name"]: node["digest"] for node in manifest["nodes"]} for manifest in (probe, run)]
    inputs = [{**manifest["job"]["input"], "sample": None} for manifest in (probe, run)]
    return nodes[0] == nodes[1] and inputs[0] == inputs[1] and run["input"]["rows"] == probe["forecast"]["rows"]
