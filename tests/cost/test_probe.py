"""Probe: a run of a sample of a job's rows, whose forecast is compared with the job's own run."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.cost.bill import bill, spent_by
from oasis_ray.cost.evaluation import grade, same_job
from oasis_ray.cost.forecast import Forecast
from oasis_ray.cost.probe import folder_of, forecast, graded, probe_of
from oasis_ray.engine.scripted import ScriptedEngine
from oasis_ray.errors import JobError
from oasis_ray.job.input import Sample
from oasis_ray.job.load import load_job
from oasis_ray.output.audit import audit
from oasis_ray.output.ledger import counts_of
from oasis_ray.output.manifest import read_manifest, summary, write_manifest
from oasis_ray.pipeline.worker import RowWorker
from oasis_ray.recipe.row import Row
from oasis_ray.run.progress import read_progress
from oasis_ray.run.run import Run
from tests.support.jobs import IDS
from tests.support.probes import PRICES, SESSION, close
from tests.support.run_folders import RunFolder
from tests.support.scripts import oasis
from tests.support.shards import picture, shard


@pytest.fixture
def probed(tmp_path: Path, job_file: Callable[..., Path]) -> tuple[RunFolder, Forecast]:
    """Return an unfinished run folder, and the forecast from a probe of 40 of its 200 rows."""
    path = job_file(score_in_full=0.0)
    probe = RunFolder(tmp_path / "run-probe", path, 40)
    close(probe, 40)
    return RunFolder(tmp_path / "run", path, 200), forecast(probe.job, probe.recipe, 200, PRICES)


def test_a_probe_is_the_job_with_a_fully_scored_sample_and_its_own_folder(
    tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    job = RunFolder(tmp_path / "run", job_file(seed=7, score_in_full=0.1)).job
    probe = probe_of(job, 50)
    assert probe.input.sample == Sample(rows=50, seed=7)
    assert (probe.output.path, probe.score_in_full) == (f"{job.output.path}-probe", 1.0)
    assert probe.model_copy(update={"input": job.input, "output": job.output, "score_in_full": 0.1}) == job


@pytest.mark.parametrize(
    ("output", "probe"), [("runs/a", "runs/a-probe"), ("runs/a/", "runs/a-probe"), ("s3://b/a/", "s3://b/a-probe")]
)
def test_the_probes_folder_is_beside_the_runs(output: str, probe: str) -> None:
    assert folder_of(output) == probe


def test_a_forecast_is_computed_from_the_probes_parts_and_kept_in_its_manifest(
    probed: tuple[RunFolder, Forecast],
) -> None:
    run, prediction = probed
    kept = read_manifest(f"{run.path}-probe")["forecast"]
    assert Forecast.model_validate(kept) == prediction
    predicted = {(figure.what, figure.of): figure.predicted for figure in prediction.figures}
    assert {outcome: predicted["rows", outcome] for outcome in ("accepted", "captions", "rejected", "failed")} == {
        "accepted": 80, "captions": 40, "rejected": 60, "failed": 20,
    }  # fmt: skip
    assert predicted["tokens written", "hook"] == 200 * 3
    assert (prediction.rows, prediction.probe_rows, prediction.gpu_hour, prediction.currency) == (200, 40, 3.0, "EUR")
    assert prediction.sizes[0].engines == {"vlm": 1.0, "llm": 1.0}


def test_the_run_grades_every_figure_of_its_probe(probed: tuple[RunFolder, Forecast]) -> None:
    run, prediction = probed
    low, high = prediction.sizes[0].wall_s.low, prediction.sizes[0].wall_s.high
    manifest = close(run, 200, seconds=(low + high) / 2 - 20, gpu_seconds={"vlm": 9e9, "llm": 0.0})
    evaluated = graded(str(run.path), manifest)
    assert evaluated is not None
    figures = {(figure.what, figure.of): (figure.actual, figure.inside) for figure in evaluated.figures}
    assert figures["rows", "accepted"] == (80, True)
    assert figures["rejected", "clarity"] == (20, True)
    assert figures["tokens read", "hook"] == (200 * 9, True)
    assert figures["wall time, s", ""] == (pytest.approx((low + high) / 2), True)
    assert figures["peak memory, MiB", ""] == (4000, True)
    assert figures["GPU-hours", "vlm"] == (9e9 / 3600, False)
    assert figures["money", ""] == (pytest.approx(9e9 / 3600 * 3), False)
    assert {key for key, (actual, _) in figures.items() if actual is None} == set()
    assert evaluated.actual_bottleneck in ("vlm", "llm")


def test_a_figure_without_rows_in_the_run_is_zero(probed: tuple[RunFolder, Forecast]) -> None:
    run, prediction = probed
    manifest = close(run, 200)
    manifest["reasons"] = [entry for entry in manifest["reasons"] if entry["node"] != "clarity"]
    figures = {
        (figure.what, figure.of): (figure.actual, figure.inside) for figure in grade(prediction, manifest).figures
    }
    assert figures["rejected", "clarity"] == (0, False)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another prompt": lambda run: run["nodes"][0].update(digest="f" * 16),
    "a node less": lambda run: run["nodes"].pop(),
    "another input": lambda run: run["job"]["input"].update(path="elsewhere/*.parquet"),
    "an input that has grown": lambda run: run["input"].update(rows=201),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_probe_of_another_job_is_ignored(
    change: Callable[[dict[str, Any]], Any], probed: tuple[RunFolder, Forecast]
) -> None:
    run, _ = probed
    manifest = close(run, 200)
    assert same_job(read_manifest(f"{run.path}-probe"), manifest)
    change(manifest)
    assert graded(str(run.path), manifest) is None


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1}', '{"format": 1, "forecast": {"rows": "many"}}'])
def test_an_unreadable_probe_is_ignored(text: str, probed: tuple[RunFolder, Forecast]) -> None:
    run, _ = probed
    manifest = close(run, 200)
    Path(f"{run.path}-probe/run.json").write_text(text)
    assert graded(str(run.path), manifest) is None


def test_a_run_without_a_probe_has_no_forecast(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    run = RunFolder(tmp_path / "run", job_file(), 10)
    assert graded(str(run.path), close(run, 10)) is None


def carried(folder: Path, job_file: Callable[..., Path], share: float) -> dict[str, Any]:
    """Run rows of all kinds through all nodes, a share of them fully scored, and return the manifest."""
    run = RunFolder(folder, job_file(score_in_full=share), len(IDS))
    engines = {name: ScriptedEngine(oasis) for name in run.job.pools}
    worker = RowWorker(run.job, run.recipe, engines, dict.fromkeys((node.name for node in run.recipe.nodes), "d"))

    async def carry() -> list[Row]:
        source = {"file": "s", "row_group": 0, "row": 0}
        return [await worker.carry({"id": name, "source": source, "image": {"bytes": picture(), "path": None}})
                for name in IDS]  # fmt: skip

    run.part("x-0", *asyncio.run(carry()))
    tally = counts_of(str(folder))
    pools = {node.name: node.pool for node in run.recipe.nodes}
    session = {**SESSION, "rows": len(IDS)}
    prediction = bill(tally, pools, spent_by([session], None))
    run.manifest(sessions=[session], **summary(tally, run.recipe.outcomes), bill=prediction.model_dump(mode="json"))
    return read_manifest(str(folder))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_probe_of_every_row_predicts_counts_and_tokens_exactly(
    share: float, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    carried(tmp_path / "run-probe", job_file, 1.0)
    manifest = carried(tmp_path / "run", job_file, share)
    job, recipe = load_job(job_file(score_in_full=share), SHIPPED)
    evaluated = grade(forecast(job, recipe, len(IDS), None), manifest)
    exact = [figure for figure in evaluated.figures if figure.what.startswith(("rows", "tokens", "rejected", "failed"))]
    assert [(figure.what, figure.of, figure.predicted) for figure in exact] == [
        (figure.what, figure.of, pytest.approx(figure.actual)) for figure in exact
    ]
    written = [figure.actual for figure in exact if (figure.what, figure.of) == ("tokens written", "clarity")]
    assert sum(actual or 0 for actual in written) > 0
    assert [sorted(order.best) for order in evaluated.orders] == [sorted(order.judges) for order in evaluated.orders]
    assert len(evaluated.orders) == 2


def test_a_probe_without_ended_rows_gives_no_forecast(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    probe = RunFolder(tmp_path / "run-probe", job_file(), 40)
    with pytest.raises(JobError, match="no row of the probe has ended"):
        forecast(probe.job, probe.recipe, 200, None)


def test_sessions_of_an_older_version_give_no_times(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    probe = RunFolder(tmp_path / "run-probe", job_file(), 40)
    manifest = close(probe, 40)
    write_manifest(str(probe.path), {**manifest, "sessions": [{"name": "1a2b", "seconds": 5.0, "rows": 40}]})
    prediction = forecast(probe.job, probe.recipe, 200, PRICES)
    assert (prediction.sizes, prediction.orders) == ((), ())
    assert {figure.what for figure in prediction.figures} == {
        "rows",
        "rows in",
        "rejected",
        "failed",
        "tokens read",
        "tokens written",
    }


def test_a_probe_is_run_forecast_and_graded(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    kinds = ("good", "caption", "unclear", "garbled", "mute")
    shard(
        tmp_path / "shards/a.parquet", [{"id": f"{kind}-{n}", "bytes": picture()} for n in range(12) for kind in kinds]
    )
    pool = {"backend": "simulated", "model": "script", "script": "tests.support.scripts:oasis", "device": "cpu",
            "latency": {"read_tokens_per_s": 40000, "token_s": 0.005, "token_s_per_reply": 0.0}}  # fmt: skip
    job, recipe = load_job(job_file(pools={"vlm": pool, "llm": pool}, rows_in_flight=16, rows_per_task=4), SHIPPED)
    probe = Run(probe_of(job, 30), recipe)
    manifest = probe.execute()
    assert (manifest["state"], manifest["input"]["rows"], sum(manifest["rows"].values())) == ("done", 30, 30)
    assert audit(probe.folder).faults == []
    (session,) = manifest["sessions"]
    assert set(session["engine_seconds"]) == {"vlm", "llm"}
    assert 0 < session["seconds_of_rows"] <= session["seconds"]
    assert 0 < session["rows_at_once"] <= 16
    assert session["peak_memory_mib"] > 100
    last = read_progress(probe.folder)
    assert last is not None
    assert [line.model_dump() for line in last.bill.lines] == manifest["bill"]["lines"]
    prediction = forecast(job, recipe, 60, None)
    run = Run(job, recipe).execute()
    evaluated = Forecast.model_validate(run["forecast"])
    assert evaluated.model_copy(update={"figures": (), "actual_bottleneck": None}) == prediction.model_copy(
        update={"figures": ()}
    )
    assert [figure.what for figure in evaluated.figures if figure.inside is False and "rows" in figure.what] == []
    assert evaluated.actual_bottleneck in job.pools  # which one depends on how busy the machine was
