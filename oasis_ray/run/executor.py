"""Executor: where the engines of a run live and its rows are carried.

`ray_executor` uses a Ray cluster, `local_executor` this process. Both share everything that decides about a row: input,
worker, parts, ledger, manifest, watchdog. A run that one of them began can be resumed by the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from oasis_ray.cluster.nodes import Node
from oasis_ray.input.shards import Shards
from oasis_ray.job.job import Job
from oasis_ray.job.pool import Pool
from oasis_ray.output.part_writer import PartWriter
from oasis_ray.pipeline.coordinator import Coordinator
from oasis_ray.pipeline.node import Asked
from oasis_ray.pool.replica_groups import ReplicaGroup
from oasis_ray.recipe.recipe import Recipe

Pools = Mapping[str, Asked]
Tell = Callable[..., None]  # a metric's name, its value, its labels


@dataclass(frozen=True)
class Work:
    """The rows of one phase, and what is needed to carry them. `session` is in the names of the parts."""

    shards: Shards
    job: Job
    recipe: Recipe
    pools: Pools
    digests: Mapping[str, str]
    coordinator: Coordinator
    session: str
    waiting: str | None = None

    @property
    def writer(self) -> PartWriter:
        """The writer of rows that end, and of those that wait for the next phase."""
        return PartWriter(self.job.output.folder, self.recipe, session=self.session, waiting=self.waiting)


class Executor(Protocol):
    """What a run needs. `run` is the name of a session's engines: `oasis-` and the session."""

    def join(self) -> None:
        """Join the cluster, if there is one. Called before all other methods."""

    def nodes(self) -> list[Node]:
        """Return the machines that are up now."""

    def grows(self) -> bool:
        """Whether an autoscaler adds machines when engines need them."""

    def start_coordinator(self, name: str) -> Coordinator:
        """Start the coordinator of a session."""

    def start_pools(
        self, pools: Mapping[str, Pool], run: str, *, gpus: Mapping[str, bool], labels: dict[str, str]
    ) -> Pools:
        """Start engines; return when all are up. Raises FitError or RunError."""

    def stop_pools(self, pools: Pools) -> None:
        """Stop the engines of these pools."""

    def execute(self, work: Work) -> None:
        """Carry all rows and write their parts, until they have ended or the coordinator drains."""

    def engines(self, run: str, pools: Mapping[str, Pool]) -> list[tuple[ReplicaGroup, dict[str, int]]]:
        """Return how many engines of each replica group are starting, running and stopping."""

    def states(self, pools: Pools) -> str:
        """Return the status of each pool, for a message."""

    def impossible(self, pools: Pools) -> str:
        """Return the pools that will never have an engine here, for a message; empty where there are none."""

    def used_mib(self) -> float:
        """Return the memory in use on the driver's machine, in MiB."""

    def meter(self, run: str, session: str) -> Tell | None:
        """Return what sets the run's metrics (`metrics.METRICS`); None where nobody collects them."""
