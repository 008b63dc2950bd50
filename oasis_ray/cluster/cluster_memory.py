"""Memory of a run on its driver's machine: of the driver and of all cluster processes on this machine.

Shared memory of processes is excluded; the object store of the whole cluster is counted once. Engines and workers on
other machines are not included.
"""

from collections.abc import Iterator
from contextlib import suppress

import psutil
import ray

from oasis_ray.cluster.process_memory import MIB, own_mib


def used_mib() -> float:
    """Return the memory in use, in MiB."""
    return stored_mib() + own_mib(_processes())


def stored_mib() -> float:
    """Return the size of the objects in the cluster's object store, in MiB."""
    total, free = (
        resources.get("object_store_memory", 0.0) for resources in (ray.cluster_resources(), ray.available_resources())
    )
    stored: float = max(0.0, total - free)
    return stored / MIB


def _processes() -> Iterator[psutil.Process]:
    """Yield the driver, and the cluster's processes on this machine: its raylet and all descendants."""
    yield psutil.Process()
    node = ray.get_runtime_context().get_node_id()
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "raylet" and any(node in word for word in process.info["cmdline"] or ()):
            yield process
            with suppress(psutil.NoSuchProcess):
                yield from process.children(recursive=True)
