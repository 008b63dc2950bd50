"""Ray executor: runs a job on a Ray cluster, with Ray Data for the rows and Ray Serve for the engines."""

from collections.abc import Mapping

from oasis_ray.cluster import connection
from oasis_ray.cluster.autoscaler import verdict
from oasis_ray.cluster.cluster_memory import used_mib
from oasis_ray.cluster.metrics import Metrics
from oasis_ray.cluster.nodes import Node
from oasis_ray.job.pool import Pool
from oasis_ray.output.sink import PartSink
from oasis_ray.pipeline.graph import BESIDE_A_WORKER, LIGHT_CPUS, build
from oasis_ray.pipeline.remote_coordinator import RemoteCoordinator, start_coordinator
from oasis_ray.pool.deployment import Deployments
from oasis_ray.pool.handle import PoolHandle
from oasis_ray.pool.replica_groups import ReplicaGroup
from oasis_ray.pool.status import engine_counts, impossible, states
from oasis_ray.run.executor import Pools, Tell, Work


class RayExecutor:
    """The executor of the cluster that this process belongs to, else of one that is started here."""

    def __init__(self) -> None:
        self._deployments = Deployments()

    def join(self) -> None:
        """Join the cluster."""
        connection.join()

    def nodes(self) -> list[Node]:
        """Return the nodes that are up."""
        return connection.nodes()

    def grows(self) -> bool:
        """Whether the cluster has an autoscaler."""
        return verdict() is not None

    def start_coordinator(self, name: str) -> RemoteCoordinator:
        """Start the coordinator as an actor on the driver's node."""
        return start_coordinator(name)

    def start_pools(
        self, pools: Mapping[str, Pool], run: str, *, gpus: Mapping[str, bool], labels: dict[str, str]
    ) -> dict[str, PoolHandle]:
        """Start Serve applications, one per replica group."""
        return self._deployments.start(pools, run, gpus=gpus, labels=labels)

    def stop_pools(self, pools: Pools) -> None:
        """Stop the applications that no other job holds."""
        self._deployments.stop(_handles(pools))

    def execute(self, work: Work) -> None:
        """Stream the rows through Ray Data."""
        job = work.job
        rows = build(work.shards, job, work.recipe, _handles(work.pools), work.digests, work.coordinator, work.waiting)
        sink = PartSink(work.writer, rows_per_part=job.output.rows_per_part, rows_per_task=job.rows_per_task)
        rows.write_datasink(sink, ray_remote_args={"num_cpus": LIGHT_CPUS}, concurrency=BESIDE_A_WORKER * job.workers)

    def engines(self, run: str, pools: Mapping[str, Pool]) -> list[tuple[ReplicaGroup, dict[str, int]]]:
        """Return the number of replicas by state, per replica group."""
        return engine_counts(run, pools)

    def states(self, pools: Pools) -> str:
        """Return what Serve and the autoscaler report on the pools."""
        return states(_handles(pools))

    def impossible(self, pools: Pools) -> str:
        """Return the pools whose engines no node type can hold."""
        return impossible(_handles(pools), verdict())

    def used_mib(self) -> float:
        """Return the memory of the cluster's processes on this machine, in MiB."""
        return used_mib()

    def meter(self, run: str, session: str) -> Tell:
        """Return metrics that Ray's node agents export to Prometheus."""
        return Metrics(run=run, session=session).record


def _handles(pools: Pools) -> dict[str, PoolHandle]:
    return {name: handle for name, handle in pools.items() if isinstance(handle, PoolHandle)}
