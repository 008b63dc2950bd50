"""The whole service, as a user runs it: Ray, Serve, Ray Data, files. Its engines stay up from round to round."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from benchmarks.speed.child import cpu_seconds, memory_mib, spent
from benchmarks.speed.rounds import Round, Steady, rows_of
from benchmarks.speed.workload import ROOT
from oasis_ray.cli import SHIPPED
from oasis_ray.cluster import connection
from oasis_ray.job.job import Job
from oasis_ray.job.load import load_job
from oasis_ray.pool.deployment import Deployments
from oasis_ray.run.run import Run

LOOK_S = 0.5  # a look costs the driver and the watch some milliseconds, which would be counted as the service's
REST_S = 10


@contextmanager
def service(job: Path) -> Iterator[Callable[[Path | None], Round | float]]:
    """Start the engines of a job whose pools are shared. What is yielded runs a job of the same pools, or for None
    tells how many cores all of it takes at rest.
    """
    os.environ["PYTHONPATH"] = str(ROOT)
    connection.join()
    holder = ray.remote(Holder).options(num_cpus=0).remote()
    ray.get(holder.hold.remote(load_job(job, SHIPPED)[0]))
    yield lambda path: at_rest() if path is None else measure(path)
    ray.shutdown()


def at_rest() -> float:
    """The cores that all but the models' processes take at rest, when the last run has settled."""
    time.sleep(REST_S)
    before = cpu_seconds()
    time.sleep(REST_S)
    return spent(before, cpu_seconds())["others"] / REST_S


class Holder:
    """Holds the engines, as another job of the cluster would."""

    def hold(self, job: Job) -> None:
        """Start them, and return when they are up."""
        self._deployments = Deployments()  # kept: its leases end with it
        self._deployments.start(job.pools, "oasis-speed", gpus=dict.fromkeys(job.pools, False))


def measure(path: Path, ended: Callable[[], None] = lambda: None) -> Round:
    """Run a job; when its rows ended, as the run's own tally sees it. Calls `ended` before it reads what was made."""
    job, recipe = load_job(path, SHIPPED)
    run, moments, stop = Run(job, recipe), list[float](), threading.Event()
    marks: dict[str, Any] = {}

    def watch() -> None:
        while not stop.wait(LOOK_S):
            if run.working_since is None or run.step != "working":
                continue
            if not marks:
                marks.update(start=run.working_since, cpu=cpu_seconds())
            rows, now = run.counts().rows, time.monotonic()
            # Rows that ended between two looks are put down evenly in that time.
            new = rows - len(moments)
            if new and "to" in marks:  # the last window, in which looking more closely counts for nothing
                marks.update(end=now, cpu_end=cpu_seconds())
            moments.extend(now - LOOK_S * (1 - (at + 1) / new) for at in range(new))
            for mark, reached in (("from", job.rows_in_flight), ("to", run.rows - job.rows_in_flight)):
                if rows >= reached and mark not in marks:
                    marks[mark] = time.time(), cpu_seconds()
            if "to" in marks and "memory" not in marks:
                marks["memory"] = memory_mib()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    run.execute()
    stop.set()
    thread.join()
    ended()
    after = marks.get("cpu_end") or cpu_seconds()
    seconds = marks.get("end", time.monotonic()) - marks["start"]
    steady = None
    if {"from", "to"} <= marks.keys():
        (began, cpu), (ended, cpu_then) = marks["from"], marks["to"]
        steady = Steady(began, ended, spent(cpu, cpu_then))
    return Round(seconds, moments, rows_of(run.folder), spent(marks["cpu"], after), steady, marks.get("memory", 0.0))
