"""Sections of the report on cost and forecast, and the numbers behind them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.cost.forecast import Forecast
from oasis_ray.cost.probe import forecast, graded
from oasis_ray.report import cost_sections as of_cost
from oasis_ray.report.dataset import open_dataset
from oasis_ray.report.statistics import DatasetStatistics
from oasis_ray.report.summary import summarise
from oasis_ray.report.totals import Spoken, Totals
from tests.support.probes import PRICES, close
from tests.support.run_folders import RunFolder


def statistics(run: RunFolder, **keys: Any) -> DatasetStatistics:
    """Statistics of a run folder, with rows counted from the manifest alone."""
    subject = open_dataset(str(run.path))
    totals = Totals(10)
    for outcome, rows in (subject.manifest or {})["rows"].items():
        totals.outcomes[None, outcome] += rows
    return summarise(subject, totals, Spoken(), None, [])


@pytest.fixture
def probed(tmp_path: Path, job_file: Callable[..., Path]) -> RunFolder:
    """A run of a hundred rows with the grades of its probe."""
    path = job_file(score_in_full=0.0)
    probe = RunFolder(tmp_path / "run-probe", path, 20)
    close(probe, 20)
    forecast(probe.job, probe.recipe, 100, PRICES)
    run = RunFolder(tmp_path / "run", path, 100)
    manifest = close(run, 100)
    found = graded(str(run.path), manifest)
    assert found is not None
    run.manifest(**{key: manifest[key] for key in ("sessions", "rows", "reasons", "cost", "bill")},
                 forecast=found.model_dump(mode="json"))  # fmt: skip
    return run


def test_the_cost_of_a_run_is_split_by_node_and_by_where_rows_ended(probed: RunFolder) -> None:
    summary = statistics(probed).cost
    assert summary is not None
    assert (summary.gpu_seconds, summary.money, summary.currency) == (240.0, pytest.approx(240 / 3600 * 3), "EUR")
    assert sum(one.gpu_seconds or 0 for one in summary.nodes) == pytest.approx(240)
    assert sum(one.gpu_seconds for one in summary.ends) == pytest.approx(240)
    assert {(one.outcome, one.node, one.reason): one.rows for one in summary.ends} == {
        ("accepted", "", ""): 40, ("captions", "", ""): 20, ("rejected", "nonsense", "score_1"): 20,
        ("rejected", "clarity", "score_1"): 10, ("failed", "admit", "image_broken"): 10,
    }  # fmt: skip
    section = of_cost.cost([statistics(probed)])
    assert section is not None
    each, nodes, ends = section.tables
    assert each.head[-2:] == ("GPU-seconds", "money")
    assert each.rows[0][-2:] == ("6", "0.005 EUR")
    assert nodes.head[-2:] == ends.head[3:5] == ("GPU-seconds", "EUR")
    assert ends.rows[0][0] == "accepted"


def test_without_gpus_the_report_says_nothing_of_them(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    run = RunFolder(tmp_path / "run", job_file(), 10)
    close(run, 10, gpu_seconds={"vlm": 0.0, "llm": 0.0})
    section = of_cost.cost([statistics(run)])
    assert section is not None
    assert "GPU" not in str(section)


def test_a_run_of_an_older_version_has_the_cost_that_it_had(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    run = RunFolder(tmp_path / "run", job_file(), 10)
    manifest = close(run, 10)
    old = [{key: one[key] for key in ("name", "rows", "seconds", "seconds_loading")} for one in manifest["sessions"]]
    run.manifest(sessions=old, rows=manifest["rows"], reasons=manifest["reasons"], cost=manifest["cost"])
    summary = statistics(run)
    assert summary.cost is not None
    assert (summary.cost.gpu_seconds, summary.cost.money, summary.cost.ends, summary.forecast) == (None, None, [], None)
    assert of_cost.cost([summary]) is not None


def test_the_forecast_is_reported_with_the_actual_values(probed: RunFolder) -> None:
    summary = statistics(probed)
    assert summary.forecast is not None
    section = of_cost.forecast([summary])
    assert section is not None
    made = Forecast.model_validate(open_dataset(str(probed.path)).manifest["forecast"])  # type: ignore[index]
    inside = sum(one.inside is True for one in made.figures)
    assert f"{inside} of {len(made.figures)} values of run fell within their 95% intervals" in section.lead
    (table,) = section.tables
    accepted = next(row for row in table.rows if row[1] == "rows accepted")
    assert (accepted[2], accepted[5:]) == ("40.0", ("40.0", "yes"))


def test_a_run_without_a_probe_has_no_section_of_it(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    run = RunFolder(tmp_path / "run", job_file(), 10)
    close(run, 10)
    assert of_cost.forecast([statistics(run)]) is None
