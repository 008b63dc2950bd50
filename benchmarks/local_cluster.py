"""A Ray cluster of its own on this machine, that stands while drivers come, go and are killed."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

RAY = str(Path(sys.executable).with_name("ray"))
ROOT = Path(__file__).parents[1]
# Every port that a head takes at a fixed place by default: two clusters shall stand beside each other.
PORTS = (
    "port",
    "ray-client-server-port",
    "dashboard-agent-listen-port",
    "metrics-export-port",
    "runtime-env-agent-port",
)


class LocalCluster:
    """The cluster, from `with` to its end. `environment` is what its drivers run in; `words` go to `ray start`."""

    def __init__(self, *words: str, cpus: int = 4, **variables: str) -> None:
        ports = [free_port() for _ in PORTS]
        self._words = [f"--{name}={port}" for name, port in zip(PORTS, ports, strict=True)]
        self._words += [f"--num-cpus={cpus}", "--include-dashboard=false", "--disable-usage-stats", *words]
        # Tokens are for clusters that others can reach; this one ends with the harness.
        own = {"RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT)}
        self.environment = os.environ | own | {"RAY_ADDRESS": f"127.0.0.1:{ports[0]}"} | variables

    def __enter__(self) -> "LocalCluster":
        environment = {key: value for key, value in self.environment.items() if key != "RAY_ADDRESS"}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._head = psutil.Popen([RAY, "start", "--head", "--block", *self._words], env=environment, **quiet)
        deadline = time.monotonic() + 120
        address = self.environment["RAY_ADDRESS"].split(":")
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection((address[0], int(address[1])), timeout=1):
                return self
            time.sleep(0.5)
        self.__exit__()
        raise TimeoutError("the cluster did not come up within two minutes")

    def __exit__(self, *_: object) -> None:
        family = [*self._head.children(recursive=True), self._head]
        self._head.terminate()
        _, alive = psutil.wait_procs(family, timeout=20)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=10)

    def processes(self, title: str, patience_s: float = 0) -> list[psutil.Process]:
        """The processes of the cluster whose title begins so, as soon as there are any.

        Ray titles a worker after what it runs, which may be for a few milliseconds.
        """
        family, deadline = self._head.children(recursive=True), time.monotonic() + patience_s
        while True:
            found = []
            for process in family:
                with suppress(psutil.NoSuchProcess, IndexError):
                    if process.cmdline()[0].startswith(title):
                        found.append(process)
            if found or time.monotonic() > deadline:
                return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])
