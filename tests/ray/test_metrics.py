"""What docs/monitoring.md promises, against a real Prometheus that watches a real run on a Ray cluster."""

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from benchmarks.local_cluster import free_port
from oasis_ray.cluster.metrics import METRICS
from oasis_ray.output.manifest import read_manifest
from oasis_ray.run.progress import read_progress
from oasis_ray.types import Call, Request, Sampling
from tests.support.checkout import ROOT
from tests.support.cluster import Cluster
from tests.support.jobs import execute, rows, scripted, write_job

if TYPE_CHECKING:
    from oasis_ray.pool.handle import PoolHandle

MONITORING = ROOT / "cluster/monitoring"
DASHBOARD = json.loads((MONITORING / "grafana/dashboards/oasis.json").read_text(encoding="utf-8"))
QUERIES = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
GRAFANA = {"$run": "watched-run", "$__rate_interval": "2m"}  # what Grafana puts in the place of its variables
KINDS = ("good", "good-2", "caption", "poor-caption", "unclear", "impossible", "unreadable", "mute", "long")
RUN = "watched-run"  # other tests' runs are on this cluster too


class Prometheus:
    """A Prometheus with the shipped configuration, but for the place of Ray's list and its patience."""

    def __init__(self, binary: str, folder: Path, discovery: Path) -> None:
        config = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
        (scrape,) = config["scrape_configs"]
        scrape["file_sd_configs"][0] |= {"files": [str(discovery)], "refresh_interval": "1s"}
        config["global"]["scrape_interval"] = "1s"
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self._url = f"http://127.0.0.1:{(port := free_port())}/api/v1"
        self._start = time.time()
        self.process = subprocess.Popen(
            [
                binary, f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self, query: str) -> list[dict[str, Any]]:
        """What a query finds now: series with their values."""
        return self._get("query", query=query)

    def counted(self, rows: int) -> bool:
        """Whether so many rows have ended."""
        return [one["value"][1] for one in self.ask(f"sum({of_the_run('oasis_rows_total')})")] == [str(rows)]

    def draw(self, query: str) -> list[dict[str, Any]]:
        """What a panel draws from the start of the run until now: series with their points."""
        for variable, value in GRAFANA.items():
            query = query.replace(variable, value)
        return self._get("query_range", query=query, start=self._start, end=time.time(), step=2)

    def _get(self, kind: str, **params: Any) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self._url}/{kind}", params=params).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


def of_the_run(name: str, also: str = "") -> str:
    """The query for a metric of this run."""
    return f'ray_{name}{{run="{RUN}"{also}}}'


async def talk(engine: "PoolHandle") -> None:
    """Ask vLLM the same long thing twice and more, while Prometheus looks."""
    for _ in range(6):
        await engine.ask(Call(Request("A red square. " * 100, sampling=Sampling(max_tokens=8)), "row", 1))
        await asyncio.sleep(2)


@pytest.fixture(scope="session")  # as those that start what is watched
def binary() -> str:
    """The Prometheus of this machine."""
    found = shutil.which("prometheus")
    if found is None:
        pytest.skip("there is no `prometheus` on this machine (Debian: apt-get install prometheus)")
    return found


@pytest.fixture(scope="module")
def watched(
    binary: str, ray_cluster: Cluster, llm_on_ray: "PoolHandle", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Prometheus, Path]]:
    """Prometheus, and the folder of a run that it has watched from its beginning to its end."""
    folder = tmp_path_factory.mktemp("watched")
    names = [f"{kind}-{place}" for place in range(16) for kind in KINDS]
    rows(folder, *names)
    latency = {"read_tokens_per_s": 40000, "token_s": 0.02, "token_s_per_reply": 0.0005}
    pool = scripted("oasis")["vlm"] | {
        "backend": "simulated", "latency": latency, "device": "gpu", "gpu_share": 0.4
    }  # fmt: skip
    job = write_job(
        folder, executor="ray", output={"path": f"{folder}/{RUN}"}, pools={"vlm": pool, "llm": pool},
        rows_in_flight=16, rows_per_task=4,
    )  # fmt: skip
    prometheus = Prometheus(binary, folder, ray_cluster.logs / "prom_metrics_service_discovery.json")
    try:
        with ThreadPoolExecutor(1) as thread:
            talking = thread.submit(asyncio.run, talk(llm_on_ray))
            execute(job)
            talking.result()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not prometheus.counted(len(names)):
            time.sleep(1)  # what a process has counted last, Ray fetches within a second here
        time.sleep(2)  # for another look of Prometheus
        yield prometheus, folder / RUN
    finally:
        prometheus.process.terminate()
        prometheus.process.wait(20)


@pytest.mark.parametrize(("panel", "query"), QUERIES, ids=[f"{panel}-{n}" for n, (panel, _) in enumerate(QUERIES)])
def test_every_panel_of_the_dashboard_has_data(panel: str, query: str, watched: tuple[Prometheus, Path]) -> None:
    values = [value for series in watched[0].draw(query) for _, value in series["values"]]
    assert [value for value in values if value != "NaN"] != []


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_arrives_with_the_name_of_the_run(name: str, watched: tuple[Prometheus, Path]) -> None:
    prometheus, run = watched
    session = read_manifest(str(run))["sessions"][0]["name"]
    assert {one["metric"]["session"] for one in prometheus.draw(of_the_run(name))} == {session}


def test_prometheus_counts_what_the_parts_hold(watched: tuple[Prometheus, Path]) -> None:
    prometheus, run = watched
    manifest = read_manifest(str(run))
    by_outcome = prometheus.ask(f"sum by (outcome) ({of_the_run('oasis_rows_total')})")
    assert {one["metric"]["outcome"]: int(one["value"][1]) for one in by_outcome} == manifest["rows"]
    away = prometheus.ask(of_the_run("oasis_rows_total", ', outcome=~"rejected|failed"'))
    told = {
        (one["metric"]["outcome"], one["metric"]["node"], one["metric"]["reason"]): int(one["value"][1]) for one in away
    }
    reasons = [reason for reason in manifest["reasons"] if reason["fate"] != "captions"]
    assert told == {(one["fate"], one["node"], one["reason"]): one["rows"] for one in reasons}
    tokens = prometheus.ask(f"sum by (kind) ({of_the_run('oasis_tokens_total')})")
    sums = {
        kind: sum(cost[f"{kind}_tokens"] for cost in manifest["cost"].values())
        for kind in ("prompt", "cached", "reply")
    }
    assert {one["metric"]["kind"]: int(one["value"][1]) for one in tokens} == sums


def test_a_run_that_has_ended_leaves_no_gauge_standing(watched: tuple[Prometheus, Path]) -> None:
    gauges = ["oasis_rows_in_flight", "oasis_oldest_row_seconds", "oasis_rows_left", "oasis_engines"]
    standing = {name: {one["value"][1] for one in watched[0].ask(of_the_run(name))} for name in gauges}
    assert {name: values - {"0"} for name, values in standing.items()} == {name: set() for name in gauges}


def test_the_gpu_seconds_of_prometheus_are_those_of_the_run_folder(watched: tuple[Prometheus, Path]) -> None:
    prometheus, run = watched
    progress = read_progress(str(run))
    assert progress is not None
    told = prometheus.ask(of_the_run("oasis_gpu_seconds_total"))
    assert {one["metric"]["pool"]: round(float(one["value"][1]), 1) for one in told} == progress.gpu_seconds
    assert all(progress.gpu_seconds.values())


def test_the_dashboard_asks_for_no_metric_that_is_not_there() -> None:
    asked = {name.removeprefix("ray_") for _, query in QUERIES for name in re.findall(r"ray_oasis_\w+", query)}
    assert asked - set(METRICS) == set()


def test_every_metric_is_documented() -> None:
    page = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    assert [name for name in METRICS if f"`ray_{name}`" not in page] == []
