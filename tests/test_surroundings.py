"""Surroundings that are not those of a laptop: terminals that are not UTF-8, users that the machine does not know."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.command import call
from tests.support.jobs import execute, rows
from tests.support.shards import picture

JobFile = Callable[..., Path]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_is_not_utf_8_shows_what_it_can(encoding: str, tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, "good", "unclear")
    ran = call("run", job_file(), PYTHONIOENCODING=encoding)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "2 of 2 rows ended: 1 accepted, 0 captions, 1 rejected, 0 failed" in ran.stdout
    execute(job_file(output={"path": f"{tmp_path}/other"}))
    compared = call("diff", tmp_path / "run", tmp_path / "other", PYTHONIOENCODING=encoding)
    assert (compared.returncode, compared.stderr) == (0, "")
    next((tmp_path / "run/accepted").iterdir()).unlink()
    audited = call("audit", tmp_path / "run", PYTHONIOENCODING=encoding)
    assert audited.returncode == 1
    assert "2 input rows ? 0 accepted" in audited.stdout
    assert "Traceback" not in audited.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may take another user's id")
def test_a_user_whom_the_machine_does_not_know_has_a_name() -> None:
    code = "import getpass, pwd, os; from oasis_ray.cli.explore import _login; os.setuid(54321); print(_login())"
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": "/"}  # no LOGNAME or USER to go by
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "user-54321\n"), done.stderr


def test_a_list_names_files_in_utf_8_whatever_the_locale_says(tmp_path: Path) -> None:
    (tmp_path / "hände.png").write_bytes(picture())
    (tmp_path / "list.jsonl").write_text('{"image": "hände.png"}\n', encoding="utf-8")
    surroundings = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = call("ingest", tmp_path / "list.jsonl", tmp_path / "out", **surroundings)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"1 image in 1 shard at {tmp_path}/out\n", "")
