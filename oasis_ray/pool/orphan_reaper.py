"""A watchdog process: it ends an engine's processes where the process that started them was killed.

A process that is killed (`kill -9`, or by the kernel when memory runs out) can't end its children, and an engine would
keep its memory and its GPU. On Ray, the node's manager ends them; a local run has this instead.
"""

import os
import select
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress

import psutil

LOOK_S = 0.5  # between two looks whether the parent lives
END_S = 5.0


class OrphanReaper:
    """Ends the processes given to `watch` when this process is gone, or closes it."""

    def __init__(self) -> None:
        # A session of its own: a Ctrl-C at the terminal goes to the run, which then closes it.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", __file__, str(os.getpid())],  # -P: our `trace` and others are not Python's
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def watch(self, processes: Iterable[psutil.Process]) -> None:
        """Take these processes into its care. By their start too, since a number may come again."""
        stream = self._process.stdin
        with suppress(BrokenPipeError):
            for process in processes:
                print(process.pid, process.create_time(), file=stream)
            if stream is not None:
                stream.flush()

    def close(self) -> None:
        """End what is left of the processes, and the watchdog."""
        with suppress(BrokenPipeError, subprocess.TimeoutExpired):
            self._process.communicate(timeout=END_S)
        self._process.kill()
        self._process.wait()


def children() -> set[psutil.Process]:
    """The processes that this one has started, and theirs. Python's own helpers end by themselves."""
    return {child for child in psutil.Process().children(recursive=True) if not _helper(child)}


def _helper(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any("resource_tracker" in word or word == __file__ for word in process.cmdline())
    return True


def _main(parent: int) -> None:
    """Wait until the parent is gone or has closed its end, then end the processes that it has named."""
    held, text, lives = sys.stdin.fileno(), "", True
    # A process that was forked may hold the other end too, so that it is not closed when the parent is gone.
    while lives:
        lives = os.getppid() == parent
        while select.select([held], [], [], LOOK_S if lives else 0)[0]:
            read = os.read(held, 65536).decode()
            text += read
            if not read:
                lives = False
                break
    for line in text.splitlines():
        number, started = line.split()
        with suppress(psutil.Error):
            process = psutil.Process(int(number))
            if process.create_time() == float(started):
                process.kill()


if __name__ == "__main__":
    _main(int(sys.argv[1]))
