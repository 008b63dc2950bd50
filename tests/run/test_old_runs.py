"""Runs of earlier versions: a run folder that was written once is audited, resumed, reported and exported for good.

`fixtures/run_of_version_1` is the scripted run of `tests.support.jobs.write_kinds`, made before digests had a version.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.output.manifest import read_manifest
from tests.support.checkout import ROOT
from tests.support.command import call_here
from tests.support.jobs import ENDS, REASONS, rows_of

RUN = ROOT / "tests/fixtures/run_of_version_1"
OUTCOMES = tuple(ENDS)


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the old job, its input and its run, as the working directory: the job's paths are relative."""
    folder = tmp_path / "old"
    shutil.copytree(RUN, folder)
    monkeypatch.chdir(folder)
    return folder


def all_rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of a run without what its requests took, and without columns that are newer than version 1."""
    rows = {outcome: rows_of(folder / "run", outcome) for outcome in OUTCOMES}
    for row in (row for some in rows.values() for row in some):
        row.pop("moves", None)
        row["lineage"] = [{key: step[key] for key in ("node", "digest", "seed", "finish")} for step in row["lineage"]]
    return rows


def test_the_fixture_holds_a_row_of_each_kind() -> None:
    assert {outcome: {row["id"] for row in rows} for outcome, rows in all_rows(RUN).items()} == ENDS
    reasons = {
        row["id"]: (row["node"], row["reason"]) for some in ("rejected", "failed") for row in all_rows(RUN)[some]
    }
    assert reasons == REASONS
    assert "digests" not in read_manifest(str(RUN / "run"))


def test_an_old_run_is_audited(old: Path) -> None:
    done = call_here("audit", "run")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "every row ended exactly once"


@pytest.mark.parametrize("lost", OUTCOMES)
def test_an_old_run_is_resumed_and_its_new_rows_are_those_that_were_lost(lost: str, old: Path) -> None:
    shutil.rmtree(old / "run" / lost)
    done = call_here("run", "job.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert all_rows(old) == all_rows(RUN)
    assert call_here("audit", "run").returncode == 0


def test_a_changed_seed_is_reported_for_an_old_run_and_nothing_else_is(old: Path) -> None:
    shutil.rmtree(old / "run/accepted")
    done = call_here("run", "job.yaml", "--set", "seed=8")
    assert (done.returncode, done.stderr.splitlines()[1:2]) == (
        2, ["  - run holds a run that differs from this job: seed was 7 and is 8"],
    )  # fmt: skip


def test_an_old_run_is_reported(old: Path) -> None:
    assert call_here("report", "run").returncode == 0
    (subject,) = json.loads((old / "run/report/statistics.json").read_text())["subjects"]
    assert (subject["rows"], subject["outcomes"]) == (13, {name: len(ids) for name, ids in ENDS.items()})


@pytest.mark.parametrize("form", ["llava", "sharegpt", "openai", "swift", "hf", "webdataset"])
def test_an_old_run_is_exported(form: str, old: Path) -> None:
    done = call_here("export", "run", "--format", form, "--out", "data")
    assert done.returncode == 0, done.stderr
    assert json.loads((old / "data/export.json").read_text())["splits"] == {"train": {"accepted": 2, "captions": 1}}
