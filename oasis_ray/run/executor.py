"""The executor: where a run's engines live and its rows travel.

`ray_executor` is a Ray cluster, `local_executor` is this process. All that decides what becomes of a row is the same
for both: source, worker, parts, ledger, manifest, monitor. A run that one of them began is resumed by the other.
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
    """The rows of one phase and what it takes to bring them to their parts. `session` is in the names of the parts."""

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
        """What writes the rows that end, and those that wait for the next phase."""
        return PartWriter(self.job.output.path.rstrip("/"), self.recipe, session=self.session, waiting=self.waiting)


class Executor(Protocol):
    """What a run asks for. `run` is the name of a session's engines: `oasis-` and the session."""

    def join(self) -> None:
        """Come to where the run is executed. Nothing else is called before."""

    def nodes(self) -> list[Node]:
        """The machines that are there now."""

    def grows(self) -> bool:
        """Whether more machines come when engines need them."""

    def start_coordinator(self, name: str) -> Coordinator:
        """Begin to coordinate a session."""

    def start_pools(
        self, pools: Mapping[str, Pool], run: str, *, gpus: Mapping[str, bool], labels: dict[str, str]
    ) -> Pools:
        """Start engines and return when all are up. Raises FitError or RunError."""

    def stop_pools(self, pools: Pools) -> None:
        """End the engines of these pools."""

    def execute(self, work: Work) -> None:
        """Carry all rows to their parts, until they have ended or the coordinator drains."""

    def engines(self, run: str, pools: Mapping[str, Pool]) -> list[tuple[ReplicaGroup, dict[str, int]]]:
        """For each kind of engine how many are starting, running and stopping."""

    def states(self, pools: Pools) -> str:
        """How each pool stands, for a message."""

    def impossible(self, pools: Pools) -> str:
        """Which pools will never have an engine here, for a message; empty where there are none."""

    def used_mib(self) -> float:
        """The memory in use on the driver's machine, in MiB."""

    def meter(self, run: str, session: str) -> Tell | None:
        """What takes the run's metrics (`metrics.METRICS`); None where nobody collects them."""
