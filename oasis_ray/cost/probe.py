"""The probe: some rows of a job's input, through the real pools, judged on every axis, in a folder of their own."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from oasis_ray.cost.bill import HOUR_S, spent_by
from oasis_ray.cost.evaluation import grade, same_job
from oasis_ray.cost.forecast import Forecast, ProbeRow, predict
from oasis_ray.cost.judge_order import groups
from oasis_ray.cost.throughput import Throughput
from oasis_ray.errors import JobError
from oasis_ray.job.input import Sample
from oasis_ray.job.job import Job
from oasis_ray.job.prices import Prices
from oasis_ray.output.counts import SENT_AWAY, Usage
from oasis_ray.output.manifest import read_manifest, write_manifest
from oasis_ray.output.parts import read_parts
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.types import Outcome


def probe_of(job: Job, rows: int) -> Job:
    """The job that probes another: some of its rows, drawn by its seed and judged in full, into OUTPUT-probe."""
    given = job.input.model_copy(update={"sample": Sample(rows=rows, seed=job.seed)})
    output = job.output.model_copy(update={"path": folder_of(job.output.path)})
    return job.model_copy(update={"input": given, "output": output, "score_in_full": 1.0})


def folder_of(output: str) -> str:
    """Where the probe of a job is whose run goes to `output`."""
    return f"{output.rstrip('/')}-probe"


def forecast(job: Job, recipe: Recipe, total: int, prices: Prices | None) -> Forecast:
    """What the probe in OUTPUT-probe says of the `total` rows of its job; written down in the probe's run.json."""
    folder = folder_of(job.output.path)
    manifest = read_manifest(folder)
    rows = list(_rows(folder, recipe))
    if not rows:
        raise JobError([f"{folder}: no row of the probe has ended, so nothing can be predicted"])
    made = predict(
        rows,
        manifest,
        total=total,
        score_in_full=job.score_in_full,
        pace=Throughput.of(manifest, total),
        groups=groups(recipe.nodes),
        prices=prices,
        gpu_hour=_gpu_hour(manifest["sessions"][-1], prices) if prices else None,
    )
    write_manifest(folder, manifest | {"forecast": made.model_dump(mode="json")})
    return made


def _gpu_hour(session: Mapping[str, Any], prices: Prices) -> float:
    """What an hour of one GPU has cost: on average over the types that the pools name, else by those of the cluster."""
    spent = spent_by([session], prices).values()
    hours = sum(one.gpu_seconds for one in spent) / HOUR_S
    return sum(one.money or 0.0 for one in spent) / hours if hours else prices.of(session.get("gpus", ()))


def graded(folder: str, manifest: Mapping[str, Any]) -> Forecast | None:
    """What the probe beside a run had said, with what the run came to; None where there is no probe of this job."""
    with suppress(JobError, ValidationError, KeyError):  # a folder that anybody may have made must not end a run
        found = read_manifest(folder_of(folder))
        if "forecast" in found and same_job(found, manifest):
            return grade(Forecast.model_validate(found["forecast"]), manifest)
    return None


def _rows(folder: str, recipe: Recipe) -> Iterator[ProbeRow]:
    """The rows of a probe, from its parts."""
    judges = {node.name: node for node in recipe.nodes if node.stage.judges}
    for outcome in Outcome:
        ends = ["node", "reason"] if outcome in SENT_AWAY else []
        for table in read_parts(folder, outcome, ["lineage", "nodes", *ends]):
            for row in table.to_pylist():
                asked: dict[str, Usage] = {}
                for step in row["lineage"]:
                    asked.setdefault(step["node"], Usage()).add(step)
                said = {name: out for name, out in row["nodes"].items() if out is not None and name in judges}
                verdicts = {
                    name: judges[name].stage.accepts(judges[name].out_type(**out)) for name, out in said.items()
                }
                yield ProbeRow(str(outcome), row.get("node") or "", row.get("reason") or "", asked, verdicts)
