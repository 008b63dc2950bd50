"""Memory of processes, without what they share with others."""

from collections.abc import Iterable
from contextlib import suppress

import psutil

MIB = 2**20


def own_mib(processes: Iterable[psutil.Process]) -> float:
    """Return the unshared resident memory of these processes, in MiB. Processes that have ended count as 0."""
    return sum(map(_own, processes)) / MIB


def _own(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        memory = process.memory_info()
        return int(memory.rss) - int(getattr(memory, "shared", 0))
    return 0
