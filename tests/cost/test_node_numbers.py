"""Numbers of a probe's nodes: quantiles and shares of thresholds, in the order of the nodes; none without numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from oasis_ray.cost.forecast import Forecast
from oasis_ray.cost.node_numbers import NodeNumbers, node_numbers
from oasis_ray.cost.probe import forecast
from oasis_ray.output.manifest import read_manifest
from tests.support.probes import close
from tests.support.run_folders import RunFolder

SURE, GAIN = pa.struct({"choice": pa.string(), "probability": pa.float64()}), pa.struct({"score": pa.float64()})
NODES = pa.struct({
    "clarity": pa.struct({"score": pa.int64()}), "sure": SURE, "each": pa.list_(SURE), "gain": GAIN, "lost": GAIN,
})  # fmt: skip


def write(path: Path, *rows: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    every = [dict.fromkeys(NODES.names) | row for row in rows]
    pq.write_table(pa.table({"id": [str(at) for at in range(len(rows))], "nodes": pa.array(every, NODES)}), path)


def sure(probability: float | None) -> dict[str, Any]:
    return {"choice": "Yes", "probability": probability}


def test_each_node_with_decimals_has_quantiles_and_the_shares_that_thresholds_keep(
    tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    run = RunFolder(tmp_path / "run-probe", job_file(), 10)
    write(run.path / "accepted/part-x.parquet",
        {"clarity": {"score": 5}, "sure": sure(0.7), "each": [sure(0.25), None, sure(1.0)], "gain": {"score": -1.5}},
        {"sure": sure(None), "each": [], "lost": {"score": float("nan")}},
    )  # fmt: skip
    write(run.path / "rejected/part-x.parquet", {"sure": sure(0.1 + 0.2), "each": [sure(0.5)]})
    nodes = read_manifest(str(run.path))["nodes"]
    run.manifest(nodes=[{**nodes[0], "name": name} for name in ("gain", "lost", "clarity", "each", "sure")])
    low, high = 0.1 + 0.2, 0.69921875  # quantiles are right to 0.2%, and shares are exact
    assert node_numbers(str(run.path), read_manifest(str(run.path))) == (
        NodeNumbers(node="gain", rows=1, quantiles=dict.fromkeys((5, 25, 50, 75, 95), -1.5)),
        NodeNumbers(node="each", elements=True, rows=3, quantiles={5: 0.25, 25: 0.25, 50: 0.5, 75: 1.0, 95: 1.0},
                    at_least={n / 10: ((n <= 2) + (n <= 5) + 1) / 3 for n in range(1, 10)}),
        NodeNumbers(node="sure", rows=2, quantiles={5: low, 25: low, 50: low, 75: high, 95: high},
                    at_least={n / 10: ((n <= 3) + (n <= 7)) / 2 for n in range(1, 10)}),
    )  # fmt: skip


def test_a_forecast_keeps_the_numbers_of_its_probe(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    run = RunFolder(tmp_path / "run-probe", job_file(), 40)
    close(run, 40)
    assert forecast(run.job, run.recipe, 200, None).numbers == ()
    found = NodeNumbers(node="sure", rows=2, quantiles={5: 0.1, 50: 0.7}, at_least={0.1: 1.0, 0.7: 0.5})
    made = forecast(run.job, run.recipe, 200, None).model_copy(update={"numbers": (found,)})
    assert Forecast.model_validate(made.model_dump(mode="json")) == made
