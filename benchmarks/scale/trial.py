"""A job on a Ray cluster of its own, with the most memory that it took."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import ray

from benchmarks.speed.child import Child
from benchmarks.speed.rounds import Round
from benchmarks.speed.service import measure
from benchmarks.speed.workload import ROOT
from oasis_ray.cluster import connection
from oasis_ray.cluster.cluster_memory import stored_mib

CPUS = 16  # as Ray is told: simulated engines compute nothing, and 64 of them are to find room on any machine
LOOK_S = 5  # a look at all processes takes CPU that would be counted as the service's
Memory = dict[str, float]


def trial(path: Path) -> tuple[Round, Memory]:
    """Run a job in a process of its own; its round, and the most MiB of the driver, a worker, and the object store."""
    child = Child(runs, log=path.with_suffix(".log"))
    try:
        answer: tuple[Round, Memory] = child.ask(path)
    finally:
        child.close()
    return answer


@contextmanager
def runs() -> Iterator[Callable[[Path], tuple[Round, Memory]]]:
    """Start a cluster. What is yielded runs a job on it."""
    os.environ["PYTHONPATH"] = str(ROOT)
    connection.join(CPUS)

    def answer(path: Path) -> tuple[Round, Memory]:
        most: Memory = {"driver": 0.0, "worker": 0.0, "object_store": 0.0}
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(LOOK_S):
                for who, now in memory().items():
                    most[who] = max(most[who], now)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        found = measure(path, stop.set)  # what this benchmark itself keeps of the rows is not the driver's
        thread.join()
        return found, most

    yield answer
    ray.shutdown()


def memory() -> Memory:
    """MiB of this process, of the largest worker that carries rows, and of what lies in Ray's object store."""
    this, workers = psutil.Process(), [0.0]
    for process in this.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "MapWorker" in " ".join(process.cmdline()):
                workers.append(process.memory_info().rss / 2**20)
    return {"driver": this.memory_info().rss / 2**20, "worker": max(workers), "object_store": stored_mib()}
