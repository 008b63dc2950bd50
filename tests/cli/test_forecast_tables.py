"""Tables of a forecast on the terminal, as text."""

from collections.abc import Callable, Iterable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from oasis_ray.cli import forecast_tables as show_forecast
from oasis_ray.cost.evaluation import grade
from oasis_ray.cost.forecast import Forecast
from oasis_ray.cost.node_numbers import QUANTILES, NodeNumbers
from oasis_ray.cost.probe import forecast
from tests.support.probes import PRICES, close
from tests.support.run_folders import RunFolder


def said(things: Any) -> str:
    """Return the output of rich without a terminal."""
    text = StringIO()
    console = Console(file=text, width=160)
    for thing in things if isinstance(things, Iterable) and not isinstance(things, str) else [things]:
        console.print(thing, soft_wrap=True)
    return text.getvalue()


@pytest.fixture
def made(tmp_path: Path, job_file: Callable[..., Path]) -> Forecast:
    probe = RunFolder(tmp_path / "run-probe", job_file(score_in_full=0.0), 40)
    close(probe, 40)
    return forecast(probe.job, probe.recipe, 40_000, PRICES)


def test_rows_and_tokens_are_reported_by_node_with_their_intervals(made: Forecast) -> None:
    lines = said(show_forecast.nodes(made)).splitlines()
    cells = {
        line.split("│")[0].strip(): [cell.strip() for cell in line.split("│")[1:]] for line in lines if "│" in line
    }
    assert cells["admit"] == ["40k [36.5k–40k]", "", "4000 [1583–9221]", "", ""]
    assert cells["nonsense"][:3] == ["28k [21.83k–32.77k]", "8000 [4200–13.9k]", ""]
    assert cells["hook"][3] == "360k [360k–360k]"
    assert cells["accepted"][0] == "16k [10.54k–22.16k]"


def test_time_and_cost_are_reported_for_sizes(made: Forecast) -> None:
    table = said(show_forecast.sizes(made))
    assert all(word in table for word in ("engines vlm", "engines llm", "bottleneck", "wall time", "GPU-hours", "EUR"))
    assert len([line for line in table.splitlines() if "%)" in line]) == len(made.sizes)


def test_other_prices_and_the_order_of_judges_are_reported(made: Forecast) -> None:
    remarks = list(show_forecast.remarks(made))
    assert [line.partition(":")[0] for line in remarks if ": " in line and not line.startswith("no order")] == [
        "peak memory of this machine, MiB",
        "cost at the prices of other GPUs, assuming equal speed (EUR)",
    ]
    assert "no order of the judges costs much less than the present one: caption_language" in remarks[-1]


def test_numbers_are_shown_with_their_quantiles_and_the_shares_that_thresholds_keep(made: Forecast) -> None:
    assert (made.numbers, list(show_forecast.numbers(made))) == ((), [])
    gain = NodeNumbers(node="gain", rows=1, quantiles={5: -1.5, 25: 0, 50: 0.123456, 75: 2, 95: 1e6})
    each = NodeNumbers(node="each", elements=True, rows=90, quantiles=dict.fromkeys(QUANTILES, 0.5),
                       at_least={n / 10: 1 - n / 8 if n < 8 else 0.0 for n in range(1, 10)})  # fmt: skip
    shares = ["0.1 87.5%", "0.2 75.0%", "0.3 62.5%", "0.4 50.0%", "0.5 37.5%", "0.6 25.0%", "0.7 12.5%", "0.8 0.0%",
              "0.9 0.0%"]  # fmt: skip
    assert list(show_forecast.numbers(made.model_copy(update={"numbers": (gain, each)}))) == [
        "numbers of gain (1 row): 5% -1.5, 25% 0, 50% 0.1235, 75% 2, 95% 1e+06",
        "numbers of each (90 elements): 5% 0.5, 25% 0.5, 50% 0.5, 75% 0.5, 95% 0.5",
        f"  of which at_least would keep: {', '.join(shares)}",
    ]


def test_grades_show_the_totals_and_missed_intervals(made: Forecast, tmp_path: Path, job_file: Any) -> None:
    run = RunFolder(tmp_path / "run", job_file(), 400)
    graded = grade(made, close(run, 400))
    table, line = said(show_forecast.grades(graded)), show_forecast.verdict(graded)
    assert " no" in table
    assert "wall time, s" in table
    inside = sum(one.inside is True for one in graded.figures)
    assert line.startswith(f"the forecast: {inside} of {len(graded.figures)} values fell within their intervals; ")
    assert line.endswith("as predicted")


@pytest.mark.parametrize(
    ("what", "value", "text"),
    [
        ("rows", 0, "0"), ("rows", 9999.4, "9999"), ("rows", 10_000, "10k"), ("tokens read", 1_234_567, "1.235M"),
        ("tokens read", 3.2e10, "32G"), ("wall time, s", 3725.4, "1:02:05"), ("money", 0.0, "0.00"),
        ("money", 1234.5, "1,234.50"), ("GPU-hours", 0.0123, "0.012"),
    ],
)  # fmt: skip
def test_figures_are_short(what: str, value: float, text: str) -> None:
    figure = show_forecast.Estimate(what=what, predicted=value, low=value, high=value)
    assert show_forecast.spread(figure) == f"{text} [{text}–{text}]"
