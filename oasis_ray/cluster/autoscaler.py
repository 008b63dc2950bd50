"""Autoscaler status: whether a node is being started for engines that wait for one, or can never be.

Ray's public API doesn't report this: an engine that no node type can hold waits forever, in the same state as one whose
node is booting. The autoscaler's own report has it and is read here from the GCS, by a private interface of Ray 2.60
(docs/decisions/0023-autoscaler-report.md).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import ray
from ray.util import placement_group_table


@dataclass(frozen=True)
class Verdict:
    """Report of the autoscaler: engines without a node, nodes being started, and failed requests for nodes.

    `waiting` counts the engines without a node by Serve application; `impossible` those of them that fit no node type,
    or whose node types are at `max_workers`. `coming` counts nodes by type, `refused` has one text per failed request.
    """

    waiting: Mapping[str, int]
    impossible: Mapping[str, int]
    coming: Mapping[str, int]
    refused: tuple[str, ...] = ()

    def __str__(self) -> str:
        texts = [f"starting {count} x {node_type}" for node_type, count in self.coming.items()]
        texts += [f"the cloud provider refused a node: {reason}" for reason in self.refused]
        return "; ".join(texts) or "no node is being started"


def verdict() -> Verdict | None:
    """Return the autoscaler's report; None if the cluster has no autoscaler, so that its nodes are fixed."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply

    reply = GetClusterStatusReply()
    address = ray.get_runtime_context().gcs_address
    reply.ParseFromString(GcsClient(address=address).get_cluster_status(timeout_s=10))
    state = reply.autoscaling_state
    if not state.autoscaler_state_version:
        return None
    groups = {group: row["name"] for group, row in placement_group_table().items() if row["state"] == "PENDING"}
    infeasible = [gang.details.partition(":")[0] for gang in state.infeasible_gang_resource_requests]
    coming: Counter[str] = Counter()
    for request in state.pending_instance_requests:
        coming[request.ray_node_type_name] += request.count
    for instance in state.pending_instances:
        coming[instance.ray_node_type_name] += 1
    refused = tuple(f"{request.ray_node_type_name}: {request.reason}" for request in state.failed_instance_requests)
    waiting = Counter(app for name in groups.values() if (app := _application(name)))
    impossible = Counter(app for group in infeasible if (app := _application(groups.get(group, ""))))
    return Verdict(waiting, impossible, coming, refused)


def _application(group: str) -> str:
    """Return the Serve application of the placement group `SERVE_REPLICA::<application>#…`; "" for other groups."""
    head, _, rest = group.partition("::")
    return rest.partition("#")[0] if head == "SERVE_REPLICA" else ""
