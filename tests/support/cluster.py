"""The Ray cluster of the tests: one for all that need Ray."""

import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from benchmarks.local_cluster import PORTS, LocalCluster, end_at_once
from oasis_ray.run.local_executor import gpu_count

TOKEN = "0123456789abcdef" * 4
ASKED_FOR = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
# Keys that all processes of the cluster have, and that may be seen nowhere.
PLANTED = {
    "OTHER_KEY": "planted-1415926535-sesame",
    "OPENAI_API_KEY": "planted-2718281828-sesame",
    "HF_TOKEN": "planted-1618033988-sesame",
}
GPUS = 5  # that the cluster of a machine without GPUs says it has; engines on them are simulated
ENGINES = "gpu" if gpu_count() else "cpu"  # where engines of vLLM run


class Cluster(LocalCluster):
    """A cluster as others reach it: with a token and a dashboard, its logs in `logs`, and GPUs of two types.

    `variables` are in the environment of its processes too.
    """

    ports_of = (*PORTS, "dashboard-port")

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.logs = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # a socket's path can't be long
        marks = json.dumps({"accelerator_type:H100": 1, "accelerator_type:A100": 1})
        words = [
            "--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--temp-dir={self.logs}", f"--resources={marks}",
        ]  # fmt: skip
        if not gpu_count():
            words.append(f"--num-gpus={GPUS}")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # as where the environment is activated
        own = {"PATH": path, "RAY_metrics_report_interval_ms": "1000"}
        super().__init__(*words, cpus=8, **variables, **own, **ASKED_FOR, **PLANTED)

    def __enter__(self) -> "Cluster":
        super().__enter__()
        self.dashboard = self.ports["dashboard-port"]
        self.url = f"http://127.0.0.1:{self.dashboard}"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:  # the dashboard is up some seconds after the cluster
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.dashboard), timeout=1):
                break
            time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        end_at_once(self._head)
        shutil.rmtree(self.logs, ignore_errors=True)
