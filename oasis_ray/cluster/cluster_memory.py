"""The memory of a run on its driver's machine: of the driver, and of all that this machine's part of the cluster runs.

Of each process what it shares with others is left out; the object store is counted once, the whole cluster's. Engines
and workers on other machines can't be seen from here.
"""

from collections.abc import Iterator
from contextlib import suppress

import psutil
import ray

from oasis_ray.cluster.process_memory import MIB, own_mib


def used_mib() -> float:
    """The memory in use now, in MiB."""
    return stored_mib() + own_mib(_processes())


def stored_mib() -> float:
    """What lies in the cluster's object store, in MiB."""
    have, free = (
        every.get("object_store_memory", 0.0) for every in (ray.cluster_resources(), ray.available_resources())
    )
    stored: float = max(0.0, have - free)
    return stored / MIB


def _processes() -> Iterator[psutil.Process]:
    """The driver, and the cluster's processes on this machine: those below its raylet."""
    yield psutil.Process()
    node = ray.get_runtime_context().get_node_id()
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "raylet" and any(node in word for word in process.info["cmdline"] or ()):
            yield process
            with suppress(psutil.NoSuchProcess):
                yield from process.children(recursive=True)
