"""Forecast: intervals contain the true values, and the probe's full scoring is corrected for."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.cost.bill import HOUR_S
from oasis_ray.cost.forecast import Forecast, ProbeRow, predict
from oasis_ray.cost.interval_estimate import Estimate, draw, of_share, of_sum, wilson
from oasis_ray.cost.throughput import Engines, Throughput
from oasis_ray.job.load import load_job
from oasis_ray.job.prices import Prices
from oasis_ray.output.counts import Usage
from oasis_ray.output.manifest import describe

JUDGES = ("nonsense", "hallucination", "solvability", "clarity")


@pytest.fixture
def manifest(job_file: Callable[..., Path]) -> dict[str, Any]:
    job, recipe = load_job(job_file(), SHIPPED)
    return describe(job, recipe, dict.fromkeys((node.name for node in recipe.nodes), ""), 10)


def cost(seconds: float = 1.0) -> Usage:
    return Usage(1, 100, 40, 10, seconds)


def row(outcome: str = "accepted", node: str = "", *, bad: tuple[str, ...] = (), seconds: float = 1.0) -> ProbeRow:
    """Return a fully scored row that the judges in `bad` rejected."""
    nodes = ("hook", "categorize", *JUDGES, *(("respond",) if outcome == "accepted" else ()))
    asked = {name: cost(seconds) for name in nodes}
    return ProbeRow(outcome, node, "score_1" if node else "", asked, {name: name not in bad for name in JUDGES})


def throughput(vlm: Engines, llm: Engines, *, filled: float = 1.0) -> Throughput:
    """Return the throughput of a probe of ten rows that took 100 s with these engines."""
    return Throughput({"vlm": vlm, "llm": llm}, 10, seconds=100, loading=30, around=10, filled=filled)


def figures(forecast: Forecast) -> dict[tuple[str, str], Estimate]:
    return {(figure.what, figure.of): figure for figure in forecast.figures}


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (1, 1, 0.2065, 1.0),
     (20, 200, 0.0657, 0.1494)],
)  # fmt: skip
def test_a_share_has_wilsons_interval(part: int, whole: int, low: float, high: float) -> None:
    assert wilson(part, whole) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@pytest.mark.parametrize("rows", [3, 7, 40, 120, 999])
def test_intervals_include_all_rows_and_none(rows: int) -> None:
    every, none = of_share("rows", "", rows, rows, 10_000), of_share("rows", "", 0, rows, 10_000)
    same = of_sum("tokens", "", np.full(rows, 0.1), draw(rows), 10_000)
    for figure, actual in ((every, 10_000), (none, 0), (same, 1000)):
        assert figure.model_copy(update={"actual": actual}).inside
        assert figure.model_copy(update={"actual": actual + 1}).inside is (figure is none)


def test_intervals_contain_the_truth_as_often_as_stated() -> None:
    chance, held, trials = random.Random(5), Counter[str](), 300
    for _ in range(trials):
        hits = [chance.random() < 0.3 for _ in range(200)]
        tokens = np.array([chance.expovariate(1 / 50) if hit else 0.0 for hit in hits])
        estimates = [
            of_share("rows", "accepted", sum(hits), 200, 10_000),
            of_sum("tokens", "", tokens, draw(200), 10_000),
        ]
        for estimate, true in zip(estimates, (3000, 150_000), strict=True):
            held[estimate.what] += estimate.low <= true <= estimate.high
    assert {what: count / trials > 0.92 for what, count in held.items()} == {"rows": True, "tokens": True}


def test_a_forecast_is_deterministic() -> None:
    values = np.arange(50.0)
    assert of_sum("t", "", values, draw(50), 100) == of_sum("t", "", values, draw(50), 100)


def test_the_funnel_is_scaled_to_the_rows_of_the_job(manifest: dict[str, Any]) -> None:
    rows = [row()] * 4 + [row("rejected", "hallucination")] * 5 + [ProbeRow("failed", "admit", "image_broken")]
    by_name = figures(predict(rows, manifest, total=1000, score_in_full=0.0))
    assert {key: figure.predicted for key, figure in by_name.items() if key[0] in ("rows", "rejected", "failed")} == {
        ("rows", "accepted"): 400, ("rows", "captions"): 0, ("rows", "rejected"): 500, ("rows", "failed"): 100,
        ("rejected", "hallucination"): 500, ("failed", "admit"): 100,
    }  # fmt: skip
    low, high = wilson(9, 10)
    assert by_name["rows in", "hallucination"] == Estimate(
        what="rows in", of="hallucination", predicted=900, low=low * 1000, high=high * 1000
    )
    assert by_name["rows in", "solvability"].predicted == 400


@pytest.mark.parametrize(("share", "clarity"), [(0.0, 400), (0.02, 400 + 0.02 * 600), (1.0, 1000)])
def test_requests_of_full_scoring_are_weighted_by_the_jobs_share(
    share: float, clarity: float, manifest: dict[str, Any]
) -> None:
    rows = [row()] * 4 + [row("rejected", "hallucination")] * 6
    by_name = figures(predict(rows, manifest, total=1000, score_in_full=share))
    assert by_name["tokens read", "hallucination"].predicted == 1000 * 100
    assert by_name["tokens read", "clarity"].predicted == pytest.approx(100 * clarity)
    assert by_name["tokens written", "clarity"].predicted == pytest.approx(10 * clarity)
    assert by_name["tokens written", "respond"].predicted == 400 * 10


def test_a_job_with_the_rows_of_the_probe_takes_as_long(manifest: dict[str, Any]) -> None:
    rows = [row()] * 10
    held = {"vlm": sum(5.0 for _ in rows), "llm": sum(2.0 for _ in rows)}
    forecast = predict(rows, manifest, total=10, score_in_full=1.0, throughput=throughput(
        vlm=Engines(1, 4, held["vlm"]), llm=Engines(1, 2, held["llm"])))  # fmt: skip
    size = forecast.sizes[0]
    assert (size.bottleneck, size.sure) == ("vlm", 1.0)
    assert size.wall_s.predicted == pytest.approx(30 + 10 + 100)
    assert size.gpu_hours["vlm"].predicted == pytest.approx(4 * 110 / HOUR_S)
    assert size.gpu_hours["llm"].predicted == pytest.approx(2 * 110 / HOUR_S)


def test_time_grows_with_the_rows_except_for_loading_and_finalizing(manifest: dict[str, Any]) -> None:
    rows = [row()] * 10
    given = throughput(vlm=Engines(1, 4, 50.0), llm=Engines(1, 2, 20.0))
    forecast = predict(rows, manifest, total=100, score_in_full=0.0, throughput=given)
    assert forecast.sizes[0].wall_s.predicted == pytest.approx(30 + 10 + 1000)


def test_empty_slots_in_the_probe_lower_the_bound_of_the_time(manifest: dict[str, Any]) -> None:
    rows = [row()] * 10
    given = throughput(filled=0.5, vlm=Engines(1, 4, 50.0), llm=Engines(1, 2, 20.0))
    wall = predict(rows, manifest, total=100, score_in_full=0.0, throughput=given).sizes[0].wall_s
    # If engines were half idle for lack of rows, 100 rows need 500 s, and 50 s for draining.
    assert (wall.low, wall.high) == (pytest.approx(30 + 10 + 550), pytest.approx(30 + 10 + 1000))
    assert wall.predicted == pytest.approx((wall.low + wall.high) / 2)


def test_engines_are_added_at_the_bottleneck(manifest: dict[str, Any]) -> None:
    # The engine of vlm has 9 requests at a time and is busy for 0.9 of the time; that of llm has 3.6, for 0.78.
    rows = [row(seconds=18)] * 10
    given = throughput(vlm=Engines(1, 4, 900), llm=Engines(1, 2, 360))
    forecast = predict(rows, manifest, total=10, score_in_full=1.0, throughput=given)
    assert [(size.engines["vlm"], size.engines["llm"], size.bottleneck) for size in forecast.sizes] == [
        (1, 1, "vlm"), (2, 1, "llm"), (2, 2, "vlm"), (3, 2, "vlm"), (4, 2, "llm"), (4, 3, "vlm"),
    ]  # fmt: skip
    # llm was busy for 3.6 / 4.6 of the time at constant throughput, for 0.9 * 3.6 / 9 at proportional throughput.
    most = 3.6 / 4.6 / 0.9
    assert [(size.wall_s.low - 40, size.wall_s.high - 40) for size in forecast.sizes] == [
        (pytest.approx(100 * low), pytest.approx(100 * high))
        for low, high in [
            (1, 1),
            (1 / 2, most),
            (1 / 2, 1 / 2),
            (1 / 3, most / 2),
            (1 / 4, most / 2),
            (1 / 4, most / 3),
        ]
    ]


def test_money_is_gpu_hours_times_the_price(manifest: dict[str, Any]) -> None:
    rows, prices = [row()] * 10, Prices(currency="EUR", gpu_hour=1.0, gpus={"H100": 3.0, "L4": 0.5})
    forecast = predict(
        rows, manifest, total=3600, score_in_full=0.0, prices=prices, gpu_hour=3.0,
        throughput=throughput(vlm=Engines(1, 4, 50), llm=Engines(1, 2, 20)),
    )  # fmt: skip
    by_name = figures(forecast)
    hours = by_name["GPU-hours", ""]
    assert hours.predicted == pytest.approx(
        by_name["GPU-hours", "vlm"].predicted + by_name["GPU-hours", "llm"].predicted
    )
    assert (by_name["money", ""].predicted, by_name["money", ""].low) == (hours.predicted * 3, hours.low * 3)
    assert (forecast.currency, forecast.gpu_hour, forecast.gpu_hours_at) == ("EUR", 3.0, {"H100": 3.0, "L4": 0.5})


def test_without_gpus_there_are_no_gpu_hours(manifest: dict[str, Any]) -> None:
    given = throughput(vlm=Engines(1, 0, 50), llm=Engines(1, 0, 20))
    forecast = predict([row()] * 10, manifest, total=100, score_in_full=0.0, throughput=given,
                   prices=Prices(currency="EUR", gpu_hour=1.0), gpu_hour=1.0)  # fmt: skip
    assert {figure.what for figure in forecast.figures} == {
        "rows", "rows in", "tokens read", "tokens written", "wall time, s",
    }  # fmt: skip


def test_the_cheapest_judge_order_is_proposed_with_its_saving(manifest: dict[str, Any]) -> None:
    # Clarity turns half down, the others nothing: it should stand first.
    rows = [row()] * 5 + [row("rejected", "clarity", bad=("clarity",))] * 5
    given = throughput(vlm=Engines(1, 1, 45), llm=Engines(1, 1, 20))
    forecast = predict(rows, manifest, total=100, score_in_full=0.0, throughput=given, groups=[JUDGES])
    (order,) = forecast.orders
    assert (order.judges, order.best[0]) == (JUDGES, "clarity")
    assert 0 < order.saving < 0.5
    full = predict(rows, manifest, total=100, score_in_full=1.0, throughput=given, groups=[JUDGES])
    assert full.orders[0].saving == 0  # every judge is asked whatever the order


def test_rows_without_a_verdict_are_left_out_of_the_comparison(manifest: dict[str, Any]) -> None:
    lost = ProbeRow("failed", "nonsense", "no_verdict", {"hook": cost(), "nonsense": cost()})
    given = throughput(vlm=Engines(1, 1, 45), llm=Engines(1, 1, 20))
    assert predict([lost] * 3, manifest, total=9, score_in_full=0.0, throughput=given, groups=[JUDGES]).orders == ()


def test_a_forecast_survives_serialisation(manifest: dict[str, Any]) -> None:
    given = throughput(vlm=Engines(1, 4, 50), llm=Engines(1, 2, 20))
    forecast = predict([row()] * 10, manifest, total=100, score_in_full=0.02, throughput=given, groups=[JUDGES])
    assert Forecast.model_validate_json(forecast.model_dump_json()) == forecast
