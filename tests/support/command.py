"""The command `oasis-ray`, as a user runs it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from oasis_ray.cli import main
from tests.support.checkout import ROOT

COMMAND = [str(Path(sys.executable).parent / "oasis-ray")]


def call(*words: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `oasis-ray` as a user does."""
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def call_here(*words: object) -> subprocess.CompletedProcess[str]:
    """The same in this process: what it prints and its exit code, without the second that Python takes to start."""
    before, out, err, code = sys.argv, StringIO(), StringIO(), 0
    sys.argv = ["oasis-ray", *map(str, words)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.argv = before
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def start(*words: object, cwd: Path = ROOT, **environment: str) -> "subprocess.Popen[str]":
    """Start `oasis-ray`, and return while it goes on."""
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        cwd=cwd, env=os.environ | environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def until(seen: Callable[[], object], process: "subprocess.Popen[str]", patience_s: float = 120) -> None:
    """Wait until there is something to see of what a process does; it must not end before."""
    deadline = time.monotonic() + patience_s
    while not seen():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"nothing was seen, code {process.returncode}: {process.communicate()}")
        time.sleep(0.05)
