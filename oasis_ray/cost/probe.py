"""Probe: a run of a fully scored sample of a job's rows in a folder of its own, from which the job is forecast."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from oasis_ray.cost.bill import HOUR_S, spent_by
from oasis_ray.cost.evaluation import grade, same_job
from oasis_ray.cost.forecast import Forecast, ProbeRow, predict
from oasis_ray.cost.judge_order import groups
from oasis_ray.cost.node_numbers import node_numbers
from oasis_ray.cost.throughput import Throughput
from oasis_ray.errors import JobError
from oasis_ray.job.input import Sample
from oasis_ray.job.job import Job
from oasis_ray.job.prices import Prices
from oasis_ray.output.counts import Usage
from oasis_ray.output.manifest import read_manifest, write_manifest
from oasis_ray.output.outcomes import outcomes_of
from oasis_ray.output.parts import read_parts
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.types import DROPPED


def probe_of(job: Job, rows: int) -> Job:
    """Return the job of a probe: a sample of `rows` rows by the job's seed, fully scored, into OUTPUT-probe."""
    inputs = job.input.model_copy(update={"sample": Sample(rows=rows, seed=job.seed)})
    output = job.output.model_copy(update={"path": folder_of(job.output.path), "nodes": "all"})
    return job.model_copy(update={"input": inputs, "output": output, "score_in_full": 1.0})


def folder_of(output: str) -> str:
    """Return the folder of the probe of a job whose output is `output`."""
    return f"{output.rstrip('/')}-probe"


def forecast(job: Job, recipe: Recipe, total: int, prices: Prices | None) -> Forecast:
    """Return the forecast for the `total` rows of a job from its probe, and write it to the probe's run.json.

    Raises JobError if no row of the probe has ended.
    """
    folder = folder_of(job.output.path)
    manifest = read_manifest(folder)
    rows = list(_rows(folder, manifest, recipe))
    if not rows:
        raise JobError([f"{folder}: no row of the probe has ended, so there is nothing to forecast from"])
    prediction = predict(
        rows,
        manifest,
        total=total,
        score_in_full=job.score_in_full,
        throughput=Throughput.of(manifest, total),
        groups=groups(recipe.nodes),
        prices=prices,
        gpu_hour=_gpu_hour(manifest["sessions"][-1], prices) if prices else None,
        numbers=node_numbers(folder, manifest),
    )
    write_manifest(folder, manifest | {"forecast": prediction.model_dump(mode="json")})
    return prediction


def _gpu_hour(session: Mapping[str, Any], prices: Prices) -> float:
    """Return the price of a GPU-hour: the average that the session paid, else the cluster's."""
    spent = spent_by([session], prices).values()
    hours = sum(pool.gpu_seconds for pool in spent) / HOUR_S
    return sum(pool.money or 0.0 for pool in spent) / hours if hours else prices.of(session.get("gpus", ()))


def graded(folder: str, manifest: Mapping[str, Any]) -> Forecast | None:
    """Return the forecast of the probe beside a run with the run's actual figures; None without a probe of this job."""
    with suppress(JobError, ValidationError, KeyError):  # an unreadable folder beside the run must not fail it
        probe = read_manifest(folder_of(folder))
        if "forecast" in probe and same_job(probe, manifest):
            return grade(Forecast.model_validate(probe["forecast"]), manifest)
    return None


def _rows(folder: str, manifest: Mapping[str, Any], recipe: Recipe) -> Iterator[ProbeRow]:
    """Yield the rows of a probe from its parts."""
    judges = {node.name: node for node in recipe.nodes if node.judges}
    for outcome in outcomes_of(manifest):
        ends = ["node", "reason"] if outcome in DROPPED else []
        for table in read_parts(folder, outcome, ["lineage", "nodes", "moves", *ends]):
            for row in table.to_pylist():
                asked: dict[str, Usage] = {}
                for step in row["lineage"]:
                    asked.setdefault(step["node"], Usage()).add(step)
                outputs = {name: out for name, out in row["nodes"].items() if out is not None and name in judges}
                verdicts = {
                    name: judges[name].stage.accepts(judges[name].out_type(**out)) for name, out in outputs.items()
                }
                yield ProbeRow(outcome, row.get("node") or "", row.get("reason") or "", asked, verdicts, row["moves"])
