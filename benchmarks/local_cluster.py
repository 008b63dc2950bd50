"""A Ray cluster of its own on this machine, that stands while drivers come, go and are killed."""

import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

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
GIVEN: set[int] = set()  # by `free_port`


class LocalCluster:
    """The cluster, from `with` to its end. `environment` is what its drivers run in; `words` go to `ray start`.

    `with` raises RuntimeError with the output of `ray start` where no head comes up.
    """

    ports_of = PORTS
    attempts = 3  # to start; each takes other ports

    def __init__(self, *words: str, cpus: int = 4, **variables: str) -> None:
        self._words = [f"--num-cpus={cpus}", "--include-dashboard=false", "--disable-usage-stats", *words]
        # Tokens are for clusters that others can reach; this one ends with the harness.
        self.environment = os.environ | {"RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT)} | variables
        self._choose_ports()

    def _choose_ports(self) -> None:
        self.ports = {name: free_port() for name in self.ports_of}
        self.environment["RAY_ADDRESS"] = f"127.0.0.1:{self.ports['port']}"

    def __enter__(self) -> "LocalCluster":
        said = ""
        for attempt in range(self.attempts):  # a port may be taken between its choice and its use
            if attempt:
                self._choose_ports()
            with tempfile.TemporaryFile() as output:
                if self._comes_up(output):
                    return self
                output.seek(0)
                said = output.read().decode(errors="replace")
            end_at_once(self._head)
        raise RuntimeError(f"no head of a cluster came up. The last `ray start` printed:\n{said}")

    def _comes_up(self, output: IO[bytes]) -> bool:
        environment = {key: value for key, value in self.environment.items() if key != "RAY_ADDRESS"}
        words = [*self._words, *(f"--{name}={port}" for name, port in self.ports.items())]
        self._head = psutil.Popen(
            [RAY, "start", "--head", "--block", *words], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + 180
        while self._head.poll() is None and time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports["port"]), timeout=1):
                return True
            time.sleep(0.5)
        return False

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


def end_at_once(head: psutil.Process) -> None:
    """Kill all processes of a cluster: that they end in order takes twenty seconds, and nobody needs it."""
    family = [head]
    with suppress(psutil.NoSuchProcess):
        family += head.children(recursive=True)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=10)


def free_port() -> int:
    """A port that nobody listens on, given once per process.

    It lies above the ports of Ray's workers (to 19999) and below those that Linux gives to outgoing connections (from
    32768): neither can take it before its user does.
    """
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as asked, suppress(OSError):
            asked.bind(("127.0.0.1", port))
            if port not in GIVEN:
                GIVEN.add(port)
                return port
