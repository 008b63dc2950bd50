"""The command `oasis-ray`, as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.checkout import ROOT

COMMAND = [str(Path(sys.executable).parent / "oasis-ray")]


def call(*words: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `oasis-ray` as a user does."""
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
