"""Orphan reaper: an engine's processes end with the process that started them, however it ends."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from oasis_ray.pool.orphan_reaper import OrphanReaper, children
from tests.support.checkout import ROOT

STARTS = """
import os, signal, subprocess, sys, time
from oasis_ray.pool.orphan_reaper import OrphanReaper, children
engine = subprocess.Popen(["sleep", "600"])
other = subprocess.Popen(["sleep", "600"])
reaper = OrphanReaper()
reaper.watch([child for child in children() if child.pid == engine.pid])
print(engine.pid, other.pid, flush=True)
{end}
"""


def ends(pid: int) -> bool:
    """Return whether a process ends within five seconds."""
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(1)", "sys.exit()"])
def test_a_process_that_ends_takes_its_engines_along_and_nothing_else(end: str, tmp_path: Path) -> None:
    out = tmp_path / "out"  # not a pipe, which the remaining process would keep open
    with out.open("w") as stream:
        subprocess.run(
            [sys.executable, "-c", STARTS.format(end=end)], stdout=stream, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
    engine, other = map(int, out.read_text().split())
    try:
        assert (ends(engine), psutil.pid_exists(other)) == (True, True)
    finally:
        psutil.Process(other).kill()


def test_a_closed_reaper_leaves_no_process() -> None:
    before = psutil.Process().children()
    with subprocess.Popen(["sleep", "600"]) as engine:
        reaper = OrphanReaper()
        reaper.watch(child for child in children() if child.pid == engine.pid)
        reaper.close()
        assert engine.wait(5) == -9
    assert psutil.Process().children() == before
