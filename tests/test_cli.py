"""The command line: what it prints, and its exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.command import call
from tests.support.shards import picture, shard


def test_a_wrong_job_is_told_whole_and_ends_with_2(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    path = job_file(nodes={"clarety": {}}, seeds=1)
    done = call("plan", path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("JobError: 2 problems:\n")
    assert f"{path}: seeds: unknown key" in done.stderr
    assert "the recipe has no node 'clarety'" in done.stderr
    assert done.stderr.rstrip().endswith("Did you mean 'clarity'?")


@pytest.mark.parametrize("job", ["paper", "small"])
def test_a_shipped_job_is_right_and_says_what_this_machine_lacks(job: str, tmp_path: Path) -> None:
    done = call("plan", ROOT / f"cluster/jobs/{job}.yaml", cwd=tmp_path)
    if done.returncode == 0:
        pytest.skip(f"this machine has the GPUs for {job}")
    assert done.returncode == 4
    assert "input: there are no Parquet files yet at shards/*.parquet (input.path)" in done.stdout
    assert "FitError: pool 'vlm' needs 1 engine, each " in done.stderr
    assert "available: " in done.stderr


def test_an_input_that_is_not_there_is_told_before_anything_starts(job_file: Callable[..., Path]) -> None:
    done = call("run", job_file())
    assert done.returncode == 2
    assert "input.path: there are no Parquet files at " in done.stderr
    assert "starting the engines" not in done.stdout


def test_a_run_prints_its_funnel_and_too_many_failures_end_with_3(
    tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    rows = [{"id": name, "bytes": picture()} for name in ("good", "caption", "unclear")]
    shard(tmp_path / "shards/a.parquet", [*rows, {"id": "empty", "bytes": b""}])
    path = job_file(max_failed=0.1)
    done = call("run", path)
    assert done.returncode == 3, done.stderr
    assert "hook texts that are instructions: 66.7% (2 of 3); published: 49.9%" in done.stdout
    assert "judged instructions that are accepted: 50.0% (1 of 2); published: 50.9%" in done.stdout
    assert "4 of 4 rows ended: 1 accepted, 1 captions, 1 rejected, 1 failed" in done.stdout
    assert done.stderr.endswith("1 rows failed; the job allows 0.4 (max_failed: 0.1)\n")
    run = tmp_path / "run"
    assert json.loads((run / "run.json").read_text())["state"] == "done"
    audited = call("audit", run)
    assert (audited.returncode, audited.stderr) == (0, "")
    assert audited.stdout.splitlines() == [
        "4 input rows = 1 accepted + 1 captions + 1 rejected + 1 failed   (4 parts read)",
        "every row ended exactly once",
    ]
    assert "rejected: score_1 1" in call("status", run).stdout
    next((run / "accepted").glob("*.parquet")).unlink()
    broken = call("audit", run)
    assert broken.returncode == 1
    assert "fault: 1 ids of the input never ended: good" in broken.stderr


def test_a_folder_of_images_becomes_shards(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.png").write_bytes(picture())
    done = call("ingest", tmp_path / "pictures", tmp_path / "shards")
    assert done.stdout == f"1 images in 1 shards at {tmp_path}/shards, 0 skipped\n"


def test_recipes_are_listed_with_their_nodes() -> None:
    assert call("recipes").stdout.startswith("oasis: hook → categorize → nonsense → hallucination → ")


@pytest.mark.parametrize("words", [("audit", "nowhere"), ("status", "nowhere")])
def test_a_folder_that_is_no_run_is_told(words: tuple[str, ...]) -> None:
    done = call(*words)
    assert (done.returncode, done.stderr) == (
        2,
        "JobError: 1 problem:\n  - nowhere is no run folder: it has no run.json\n",
    )


def test_what_a_name_says_is_printed_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "in.jsonl").write_text('{"image": "a.png"}\n{"image": "[red]b[/x].png"}\n')
    done = call("ingest", tmp_path / "in.jsonl", tmp_path / "shards")
    assert done.stderr == "skipped in.jsonl, line 2: there is no file '[red]b[/x].png' below input.root\n"
