"""What keeps Ray from starting is one sentence with what to do. (A proxy: tests/slow/test_proxy.py.)"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.command import COMMAND
from tests.support.jobs import rows


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (
            {"RAY_TMPDIR": "/tmp/" + "x" * 90},
            "RunError: the path of the temporary folder is too long for Ray's sockets; set RAY_TMPDIR ",
        ),
        ({"HOME": "/proc/nobody"}, "RunError: Ray can't write its token and logs ("),
        ({"RAY_ADDRESS": "127.0.0.1:9"}, "RunError: can't join a cluster at 127.0.0.1:9 (RAY_ADDRESS): "),
    ],
)
def test_what_keeps_ray_from_starting_is_told_in_a_sentence(
    variables: dict[str, str], told: str, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    rows(tmp_path, "good")
    own = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    done = subprocess.run(
        [*COMMAND, "run", str(job_file(executor="ray"))],
        cwd=ROOT, env=own | variables, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.splitlines()[-1].startswith(told), done.stderr
    assert "Traceback" not in done.stderr
