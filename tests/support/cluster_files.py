"""The files for clusters, and what Ray's autoscaler would start for them."""

import tomllib
from collections.abc import Iterable
from typing import Any

from tests.support.checkout import ROOT

MANIFESTS = sorted((ROOT / "cluster/kuberay").rglob("*.yaml"))
DOCKERFILE = ROOT / "cluster/docker/Dockerfile"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMAGE = f"registry.example.com/oasis-ray:{PROJECT['version']}-gpu"

# CPUs, GPUs and memory of a GPU in GB: "Amazon EC2 instance types, accelerated computing", and "GPU machine types" of
# Google's Compute Engine.


def started(kinds: Any, engines: int, gpus: list[float], gone: Iterable[str] = ()) -> dict[str, int]:
    """What Ray's autoscaler starts of these types for engines of so many GPUs, where some types are not to be had."""
    from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
    from ray.autoscaler.v2.utils import ResourceRequestUtil
    from ray.core.generated.autoscaler_pb2 import GangResourceRequest

    together = [(ResourceRequestUtil.PlacementConstraintType.AFFINITY, "engine", "1")]  # STRICT_PACK
    engine = GangResourceRequest(requests=[ResourceRequestUtil.make({"GPU": share}, together) for share in gpus])
    answer = ResourceDemandScheduler().schedule(
        SchedulingRequest(
            disable_launch_config_check=True, node_type_configs=kinds, gang_resource_requests=[engine] * engines,
            recoverable_resource_availabilities=dict.fromkeys(gone, 0.0),
        )
    )  # fmt: skip
    return {launch.instance_type: launch.count for launch in answer.to_launch}
