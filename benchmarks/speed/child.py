"""A process that keeps its engines between rounds: it is told what to do, and answers with a round's figures."""

import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

CORE = "VLLM::"  # how the titles of the processes begin in which a model computes


class Child:
    """Runs `work(*arguments)`, a context manager, in a process of its own and asks what it yields for rounds."""

    def __init__(self, work: Callable[..., Any], *arguments: Any, log: Path) -> None:
        self._here, there = get_context("spawn").Pipe()
        self._log = log
        self._process = get_context("spawn").Process(target=_main, args=(there, log, work, arguments))
        self._process.start()
        self._said()

    def ask(self, *question: Any) -> Any:
        """What the process answers. Raises RuntimeError where it failed, with where its output lies."""
        self._here.send(question)
        return self._said()

    def close(self) -> None:
        """End the process, and all that it has started."""
        self._here.send(None)
        self._process.join(60)
        if self._process.is_alive():
            self._process.kill()

    def _said(self) -> Any:
        try:
            ok, value = self._here.recv()
        except EOFError:
            ok, value = False, "the process ended"
        if not ok:
            raise RuntimeError(f"{value}\n(its output: {self._log})")
        return value


def _main(there: Connection, log: Path, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        with work(*arguments) as answer:
            there.send((True, None))
            while (question := there.recv()) is not None:
                there.send((True, answer(*question)))
    except BaseException:
        with suppress(OSError):  # who asked may have ended; what was started here ends all the same
            there.send((False, traceback.format_exc()))
    sys.stdout.flush()
    for process in psutil.Process().children(recursive=True):
        process.kill()
    os._exit(0)


def cpu_seconds() -> dict[int, tuple[str, float]]:
    """For this process and all below it its kind, `core` for the models' own and `others`, and its CPU-seconds."""
    found = {}
    for process in _processes():
        try:
            times, title = process.cpu_times(), " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            continue
        found[process.pid] = "core" if CORE in title else "others", times.user + times.system
    return found


def memory_mib() -> float:
    """MiB of memory of this process and all below it, what several share counted once (Linux's Pss)."""
    found = 0.0
    for process in _processes():
        with suppress(psutil.NoSuchProcess):
            found += process.memory_full_info().pss / 2**20
    return found


def _processes() -> list[psutil.Process]:
    """This process and all below it."""
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


def spent(before: dict[int, tuple[str, float]], after: dict[int, tuple[str, float]]) -> dict[str, float]:
    """CPU-seconds by kind between two looks. A process that has ended in between is left out."""
    told = {"core": 0.0, "others": 0.0}
    for process, (kind, seconds) in after.items():
        told[kind] += seconds - before.get(process, (kind, 0.0))[1]
    return told
