"""What docs/watching.md promises, against a real Prometheus that watches a real run on a Ray cluster of its own."""

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from benchmarks.standing import Standing
from oasis_ray.manifest import read_manifest
from oasis_ray.metrics import METRICS
from oasis_ray.progress import read_progress
from tests.support.checkout import ROOT
from tests.support.shards import picture, shard

MONITORING = ROOT / "cluster/monitoring"
DASHBOARD = json.loads((MONITORING / "grafana/dashboards/oasis.json").read_text(encoding="utf-8"))
QUERIES = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
GRAFANA = {"$run": ".*", "$__rate_interval": "2m"}  # what Grafana puts in the place of its variables
KINDS = ("good", "good-2", "caption", "poor-caption", "unclear", "impossible", "unreadable", "mute", "long")
# An engine of vLLM's in the same cluster, as a replica holds it, asked the same long thing twice.
TALK = """
import asyncio, sys, ray
class Talk:
    async def talk(self, model):
        from oasis_ray.engine.vllm import VllmEngine
        from oasis_ray.job import Pool
        from oasis_ray.rows import Call, Request, Sampling
        engine = VllmEngine(Pool(model=model, device="cpu", max_context_tokens=1024, max_sequences=8), gpus=False)
        call = Call(Request("A red square. " * 100, sampling=Sampling(max_tokens=8)), "row", 1)
        for turn in range(6):
            await engine.ask(call)
            await asyncio.sleep(2)
ray.init(log_to_driver=False)
ray.get(ray.remote(Talk).options(num_cpus=0).remote().talk.remote(sys.argv[1]))
"""

# A driver that stays when its run has ended: what a process has counted last, Ray fetches within a second here.
DRIVE = """
import sys
from pathlib import Path
from oasis_ray.cli import SHIPPED
from oasis_ray.load import load_job
from oasis_ray.run import Run
Run(*load_job(Path(sys.argv[1]), SHIPPED)).execute()
print("ended", flush=True)
sys.stdin.read()
"""


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


class Prometheus:
    """A Prometheus with the shipped configuration, but for the place of Ray's list and its patience."""

    def __init__(self, folder: Path, discovery: Path) -> None:
        config = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
        (scrape,) = config["scrape_configs"]
        scrape["file_sd_configs"][0] |= {"files": [str(discovery)], "refresh_interval": "1s"}
        config["global"]["scrape_interval"] = "1s"
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self._url = f"http://127.0.0.1:{(port := free_port())}/api/v1"
        self._start = time.time()
        self.process = subprocess.Popen(
            [
                str(shutil.which("prometheus")), f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self, query: str) -> list[dict[str, Any]]:
        """What a query finds now: series with their values."""
        return self._get("query", query=query)

    def counted(self, rows: int) -> bool:
        """Whether so many rows have ended."""
        return [one["value"][1] for one in self.ask("sum(ray_oasis_rows_total)")] == [str(rows)]

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


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, Path]]:
    """Prometheus, and the folder of a run that it has watched from its beginning to its end."""
    if shutil.which("prometheus") is None:
        pytest.skip("there is no `prometheus` on this machine (Debian: apt-get install prometheus)")
    folder = tmp_path_factory.mktemp("watched")
    rows = [{"id": f"{kind}-{place}", "bytes": picture()} for place in range(16) for kind in KINDS]
    shard(folder / "shards/a.parquet", rows)
    latency = {"read_tokens_per_s": 40000, "token_s": 0.02, "token_s_a_reply": 0.0005}
    pool = {"backend": "simulated", "model": "script", "script": "tests.support.scripts:oasis", "latency": latency}
    job = {
        "recipe": "oasis", "input": {"path": f"{folder}/shards", "id": "id"}, "output": {"path": f"{folder}/run"},
        "pools": {"vlm": pool, "llm": pool}, "max_failed": 1.0, "rows_in_flight": 16, "rows_per_task": 4,
    }  # fmt: skip
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    place = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # a socket's path can't be long
    cluster = Standing(
        "--include-dashboard=true", f"--dashboard-port={free_port()}", "--num-gpus=2", f"--temp-dir={place}",
        RAY_metrics_report_interval_ms="1000",
    )  # fmt: skip
    output = (folder / "output.txt").open("w")
    driver = {"env": cluster.environment, "cwd": ROOT, "stderr": output}
    with cluster:
        prometheus = Prometheus(folder, place / "prom_metrics_service_discovery.json")
        talk = subprocess.Popen([sys.executable, "-c", TALK, ROOT / "benchmarks/models/llm"], **driver)
        run = subprocess.Popen(
            [sys.executable, "-c", DRIVE, folder / "job.yaml"], **driver, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert run.stdout is not None
            assert b"ended\n" in run.stdout, (folder / "output.txt").read_text()[-2000:]
            assert talk.wait(240) == 0, (folder / "output.txt").read_text()[-2000:]
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not prometheus.counted(len(rows)):
                time.sleep(1)
            time.sleep(2)  # for another look of Prometheus
            yield prometheus, folder / "run"
        finally:
            for process in (run, talk, prometheus.process):
                process.terminate()
                process.wait(20)
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize(("panel", "query"), QUERIES, ids=[f"{panel}-{n}" for n, (panel, _) in enumerate(QUERIES)])
def test_every_panel_of_the_dashboard_has_data(panel: str, query: str, watched: tuple[Prometheus, Path]) -> None:
    values = [value for series in watched[0].draw(query) for _, value in series["values"]]
    assert [value for value in values if value != "NaN"] != []


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_arrives_with_the_name_of_the_run(name: str, watched: tuple[Prometheus, Path]) -> None:
    prometheus, run = watched
    session = read_manifest(str(run))["sessions"][0]["name"]
    labels = {(one["metric"]["run"], one["metric"]["session"]) for one in prometheus.draw(f"ray_{name}")}
    assert labels == {("run", session)}


def test_prometheus_counts_what_the_parts_hold(watched: tuple[Prometheus, Path]) -> None:
    prometheus, run = watched
    manifest = read_manifest(str(run))
    by_fate = prometheus.ask("sum by (fate) (ray_oasis_rows_total)")
    assert {one["metric"]["fate"]: int(one["value"][1]) for one in by_fate} == manifest["rows"]
    away = prometheus.ask('ray_oasis_rows_total{fate=~"rejected|failed"}')
    told = {
        (one["metric"]["fate"], one["metric"]["node"], one["metric"]["reason"]): int(one["value"][1]) for one in away
    }
    reasons = [reason for reason in manifest["reasons"] if reason["fate"] != "captions"]
    assert told == {(one["fate"], one["node"], one["reason"]): one["rows"] for one in reasons}
    tokens = prometheus.ask("sum by (kind) (ray_oasis_tokens_total)")
    sums = {
        kind: sum(cost[f"{kind}_tokens"] for cost in manifest["cost"].values())
        for kind in ("prompt", "cached", "reply")
    }
    assert {one["metric"]["kind"]: int(one["value"][1]) for one in tokens} == sums


def test_a_run_that_has_ended_leaves_no_gauge_standing(watched: tuple[Prometheus, Path]) -> None:
    gauges = ["oasis_rows_in_flight", "oasis_oldest_row_seconds", "oasis_rows_left", "oasis_engines"]
    standing = {name: {one["value"][1] for one in watched[0].ask(f"ray_{name}")} for name in gauges}
    assert {name: values - {"0"} for name, values in standing.items()} == {name: set() for name in gauges}


def test_the_gpu_seconds_of_prometheus_are_those_of_the_run_folder(watched: tuple[Prometheus, Path]) -> None:
    prometheus, run = watched
    progress = read_progress(str(run))
    assert progress is not None
    told = prometheus.ask("ray_oasis_gpu_seconds_total")
    assert {one["metric"]["pool"]: round(float(one["value"][1]), 1) for one in told} == progress.gpu_seconds
    assert all(progress.gpu_seconds.values())


def test_the_dashboard_asks_for_no_metric_that_is_not_there() -> None:
    asked = {name.removeprefix("ray_") for _, query in QUERIES for name in re.findall(r"ray_oasis_\w+", query)}
    assert asked - set(METRICS) == set()


def test_every_metric_is_documented() -> None:
    page = (ROOT / "docs/watching.md").read_text(encoding="utf-8")
    assert [name for name in METRICS if f"`ray_{name}`" not in page] == []
