"""A price file is loaded, or all its problems are reported together with those of the job."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import JobError
from oasis_ray.job.load import load_job, read_prices
from oasis_ray.job.prices import Prices
from tests.support.checkout import ROOT
from tests.support.problems import problems

PRICES = Prices(currency="EUR", gpu_hour=2.0, gpus={"H100": 3.0, "A100-80G": 1.5, "L4": 0.0})

BROKEN: dict[str, tuple[Any, list[str]]] = {
    "nothing in it": ({}, ["currency: this key is required", "gpu_hour: this key is required"]),
    "a misspelt key": (
        {"currency": "EUR", "gpu_hour": 1, "gpu": {}},
        ["gpu: unknown key (…). Did you mean 'gpus'?"],
    ),
    "a negative price": (
        {"currency": "EUR", "gpu_hour": -1, "gpus": {"H100": -2}},
        [
            "gpu_hour: input should be greater than or equal to 0, not -1",
            "gpus.H100: input should be greater than or equal to 0, not -2",
        ],
    ),
    "no number": (
        {"currency": "EUR", "gpu_hour": "cheap", "gpus": {"H100": float("inf"), "L4": float("nan")}},
        [
            "gpu_hour: input should be a valid number, unable to parse string as a number, not 'cheap'",
            "gpus.H100: input should be a finite number, not inf",
            "gpus.L4: input should be a finite number, not nan",
        ],
    ),
    "a currency that could drive a terminal": (
        {"currency": "[red]\x1b[2J", "gpu_hour": 1},
        ["currency: string should match pattern '^\\w{1,8}$', not '[red]\\x1b[2J'"],
    ),
}


@pytest.mark.parametrize(("given", "told"), BROKEN.values(), ids=BROKEN)
def test_problems_of_prices_are_reported(
    given: Any, told: list[str], tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(yaml.safe_dump(given))
    assert problems(job_file(prices=str(path))) == [f"job.yaml: prices: {path}: {text}" for text in told]


def test_problems_of_prices_are_reported_with_the_jobs_other_problems(
    tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    (tmp_path / "prices.yml").write_text("currency: EUR")
    assert problems(job_file(prices=str(tmp_path / "prices.yaml"), recipe="oassis")) == [
        (
            f"job.yaml: prices: there is no file {tmp_path}/prices.yaml (in that folder: job.yaml, prices.yml)."
            " Did you mean 'prices.yml'?"
        ),
        "job.yaml: there is no recipe 'oassis' (…). Did you mean 'oasis'?",
    ]


def test_the_shipped_prices_are_right_and_a_job_may_name_them(
    job_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    job, _ = load_job(job_file(prices="cluster/prices.yaml"), SHIPPED)
    assert job.prices == "cluster/prices.yaml"
    assert read_prices(job.prices).currency == "USD"


@pytest.mark.parametrize(
    ("types", "price"),
    [
        ((), 2.0),
        (("H100",), 3.0),
        (("T4",), 2.0),
        (("A100", "A100-80G"), 1.5),
        (("A100-80G", "H100"), 3.0),
        (("L4",), 0.0),
    ],
)
def test_of_several_types_with_a_price_the_most_expensive_counts(types: tuple[str, ...], price: float) -> None:
    assert PRICES.of(types) == price


def test_prices_that_are_no_yaml_are_reported(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("currency: [")
    with pytest.raises(JobError, match=r"prices.yaml is not YAML: "):
        read_prices(str(tmp_path / "prices.yaml"))
