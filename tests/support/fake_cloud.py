"""A cluster on this machine whose nodes come and go as in a cloud: real Ray, real autoscaler, GPUs that are only said.

Ray's fake provider starts each node as a raylet of its own. Its class for tests (`AutoscalingCluster`) needs a file
that the package lacks, and ends every Ray of the machine.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.local_cluster import LocalCluster
from tests.support.cluster import end_at_once

HEAD = "f" * 51 + "00000"  # the id, and below the type, that the fake provider wants of the head
HEAD_TYPE = "ray.head.default"
GPU4 = {"gpu4": {"resources": {"CPU": 4, "GPU": 4}, "min_workers": 0, "max_workers": 2, "node_config": {}}}
# A driver that stays, and says what is on the cluster for each line that it is given: to start one takes seconds.
LOOK = """
import json, sys, ray
from ray.util import list_named_actors, placement_group_table
ray.init(logging_level=40, log_to_driver=False, namespace="looking")
from ray import serve
from ray._private.state import actors
OURS = ("CoordinatorState", "Owner", "Reaper")

def seen():
    ours = [a for a in actors().values() if a["ActorClassName"] in OURS and a["State"] == "ALIVE"]
    nodes = [node for node in ray.nodes() if node["Alive"]]
    return {
        "nodes": len(nodes),
        "gpus": sum(node["Resources"].get("GPU", 0) for node in nodes),
        "groups": [group["name"] for group in placement_group_table().values() if group["state"] != "REMOVED"],
        "apps": list(serve.status().applications),
        "ours": sorted((a["ActorClassName"], a["Address"]["NodeID"]) for a in ours),
        "actors": [actor["name"] for actor in list_named_actors(all_namespaces=True)],
    }

for _ in sys.stdin:
    print("SEEN" + json.dumps(seen()), flush=True)
"""


class FakeCloud(LocalCluster):
    """A head without GPUs and node types that start when they are asked for, within seconds."""

    attempts = 1  # the file of the cloud has the address

    def __init__(self, folder: Path, kinds: dict[str, Any] = GPU4) -> None:
        super().__init__(
            "--num-gpus=0", f"--autoscaling-config={folder}/cloud.json", "--object-store-memory=200000000",
            RAY_FAKE_CLUSTER="1", RAY_enable_autoscaler_v2="1", AUTOSCALER_UPDATE_INTERVAL_S="1",
            RAY_NODE_TYPE_NAME=HEAD_TYPE, RAY_CLOUD_INSTANCE_ID=HEAD, RAY_OVERRIDE_NODE_ID_FOR_TESTING=HEAD,
        )  # fmt: skip
        provider = {
            "type": "external", "launch_multiple": True, "head_node_id": HEAD, "disable_node_updaters": True,
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "gcs_address": self.environment["RAY_ADDRESS"],
        }  # fmt: skip
        head = {HEAD_TYPE: {"resources": {"CPU": 4}, "max_workers": 0, "node_config": {}}}
        unused = {"auth": {}, "file_mounts": {}, "cluster_synced_files": [], "initialization_commands": []}
        unused |= {f"{who}{when}_commands": [] for who in ("", "head_", "worker_") for when in ("setup",)}
        unused |= {f"{who}_start_ray_commands": [] for who in ("head", "worker")}
        config = {
            "cluster_name": "fake", "max_workers": 8, "provider": provider, "available_node_types": head | kinds,
            "head_node_type": HEAD_TYPE, "idle_timeout_minutes": 0.1, "upscaling_speed": 1.0, **unused,
        }  # fmt: skip
        (folder / "cloud.json").write_text(json.dumps(config))

    def __enter__(self) -> "FakeCloud":
        super().__enter__()
        self._observer = subprocess.Popen(
            [sys.executable, "-c", LOOK], env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._observer.kill()
        self._observer.communicate()
        end_at_once(self._head)

    def seen(self) -> dict[str, Any]:
        """What is on the cluster: nodes, GPUs, placement groups, applications, actors with names."""
        asked, said = self._observer.stdin, self._observer.stdout
        assert asked is not None
        assert said is not None
        print(file=asked, flush=True)
        line = next(line for line in said if line.startswith("SEEN"))
        found: dict[str, Any] = json.loads(line.removeprefix("SEEN"))
        return found

    def lose_a_node(self) -> None:
        """Kill a node that is not the head, as a cloud takes a spot machine back."""
        raylets = [one for one in self._head.children(recursive=True) if one.name() == "raylet"]
        workers = [one for one in raylets if f"--node_id={HEAD}" not in " ".join(one.cmdline())]
        workers[0].kill()

    def until(self, holds: Callable[[dict[str, Any]], bool], patience_s: float = 90) -> dict[str, Any]:
        """What is on the cluster once this holds, or after so long."""
        deadline = time.monotonic() + patience_s
        while True:
            found = self.seen()
            if holds(found) or time.monotonic() > deadline:
                return found
            time.sleep(0.3)
