"""Orphan reaper: a process that ends an engine's processes if the process that started them is killed.

A killed process (`kill -9`, out of memory) can't end its children, and an engine would keep its memory and its GPU. On
Ray the node's raylet ends them; a local run uses this reaper.
"""

import os
import select
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress

import psutil

LOOK_S = 0.5  # interval of checks on the parent
END_S = 5.0


class OrphanReaper:
    """Ends the processes given to `watch` when this process ends or calls `close`."""

    def __init__(self) -> None:
        # In a session of its own, so that Ctrl-C at the terminal reaches only the run, which then closes it.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", __file__, str(os.getpid())],  # -P: no module of this folder replaces one of Python's
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def watch(self, processes: Iterable[psutil.Process]) -> None:
        """Watch these processes. They are identified by pid and start time, because pids are reused."""
        stream = self._process.stdin
        with suppress(BrokenPipeError):
            for process in processes:
                print(process.pid, process.create_time(), file=stream)
            if stream is not None:
                stream.flush()

    def close(self) -> None:
        """End the watched processes and the reaper."""
        with suppress(BrokenPipeError, subprocess.TimeoutExpired):
            self._process.communicate(timeout=END_S)
        self._process.kill()
        self._process.wait()


def children() -> set[psutil.Process]:
    """Return all descendants of this process, except Python's helper processes, which end on their own."""
    return {child for child in psutil.Process().children(recursive=True) if not _helper(child)}


def _helper(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any("resource_tracker" in word or word == __file__ for word in process.cmdline())
    return True


def _main(parent: int) -> None:
    """Wait until the parent is gone or has closed the pipe, then kill the processes that it has named."""
    stdin, text, running = sys.stdin.fileno(), "", True
    # The pipe alone is not enough: a forked process may hold its other end open after the parent is gone.
    while running:
        running = os.getppid() == parent
        while select.select([stdin], [], [], LOOK_S if running else 0)[0]:
            read = os.read(stdin, 65536).decode()
            text += read
            if not read:
                running = False
                break
    for line in text.splitlines():
        pid, started = line.split()
        with suppress(psutil.Error):
            process = psutil.Process(int(pid))
            if process.create_time() == float(started):
                process.kill()


if __name__ == "__main__":
    _main(int(sys.argv[1]))
