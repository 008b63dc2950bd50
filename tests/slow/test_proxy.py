"""A proxy in the environment does not touch what goes from node to node of a cluster."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support.checkout import ROOT
from tests.support.command import COMMAND
from tests.support.jobs import outcomes, rows


def test_a_run_ends_behind_a_proxy_that_answers_nobody(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    rows(tmp_path, "good", "caption", "unclear")
    own = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    proxy = "http://127.0.0.1:9"
    done = subprocess.run(
        [*COMMAND, "run", str(job_file(executor="ray", no_progress_s=60))],
        cwd=ROOT, env=own | {"http_proxy": proxy, "https_proxy": proxy, "HTTP_PROXY": proxy, "HTTPS_PROXY": proxy},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcomes(tmp_path / "run") == {"accepted": ["good"], "captions": ["caption"], "rejected": ["unclear"]}
