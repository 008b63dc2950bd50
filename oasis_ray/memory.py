"""The memory of a run on its driver's machine: of the driver, and of all that this machine's part of the cluster runs.

Of each process what it shares with others is left out; the object store is counted once, the whole cluster's. Engines
and workers on other machines can't be seen from here.
"""

from collections.abc import Iterator
from contextlib import suppress

import psutil
import ray

MIB = 2**20


def used_mib() -> float:
    """The memory in use now, in MiB."""
    return stored_mib() + sum(_own(process) for process in _processes()) / MIB


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


def _own(process: psutil.Process) -> int:
    """What is a process's own; nothing where it has ended by now."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        memory = process.memory_info()
        return int(memory.rss) - int(getattr(memory, "shared", 0))
    return 0
