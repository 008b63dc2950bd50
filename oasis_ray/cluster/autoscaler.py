"""What the cluster's autoscaler says of engines that wait for a node: is one coming, or will none ever come.

Ray tells a driver nothing of this: an engine that no node type can hold waits without end, in the same state as one
whose node is booting. The autoscaler's own report does tell, and is read here from the cluster's store: a private
interface of Ray 2.60 (docs/decisions/0023-autoscaler-report.md).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import ray
from ray.util import placement_group_table


@dataclass(frozen=True)
class Verdict:
    """What the autoscaler says now: engines that no node can hold, nodes that are coming, nodes that could not be had.

    `waiting` and `impossible` count engines by Serve application: those without a node, and of these the ones that fit
    no node type, or whose types are at their most.
    """

    waiting: Mapping[str, int]
    impossible: Mapping[str, int]
    coming: Mapping[str, int]
    refused: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = [f"{count} x {kind} being started" for kind, count in self.coming.items()]
        told += [f"the provider refused a node: {reason}" for reason in self.refused]
        return "; ".join(told) or "no node is being started"


def verdict() -> Verdict | None:
    """What the autoscaler says; None where this cluster has none, so that it never has other nodes than it has now."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply

    reply = GetClusterStatusReply()
    address = ray.get_runtime_context().gcs_address
    reply.ParseFromString(GcsClient(address=address).get_cluster_status(timeout_s=10))
    state = reply.autoscaling_state
    if not state.autoscaler_state_version:
        return None
    groups = {group: row["name"] for group, row in placement_group_table().items() if row["state"] == "PENDING"}
    lost = [gang.details.partition(":")[0] for gang in state.infeasible_gang_resource_requests]
    coming: Counter[str] = Counter()
    for request in state.pending_instance_requests:
        coming[request.ray_node_type_name] += request.count
    for instance in state.pending_instances:
        coming[instance.ray_node_type_name] += 1
    refused = tuple(f"{one.ray_node_type_name}: {one.reason}" for one in state.failed_instance_requests)
    waiting = Counter(app for name in groups.values() if (app := _application(name)))
    impossible = Counter(app for group in lost if (app := _application(groups.get(group, ""))))
    return Verdict(waiting, impossible, coming, refused)


def _application(group: str) -> str:
    """The Serve application whose engine waits for this placement group: `SERVE_REPLICA::<application>#…`."""
    head, _, rest = group.partition("::")
    return rest.partition("#")[0] if head == "SERVE_REPLICA" else ""
