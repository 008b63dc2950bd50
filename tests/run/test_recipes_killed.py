"""A recipe whose run is killed: the same command goes on, and in the end nothing shows that it was killed."""

import signal
from pathlib import Path

import pytest

from oasis_ray.output.audit import audit
from oasis_ray.output.manifest import read_manifest
from tests.support.command import call_here, start, until
from tests.support.jobs import execute, made
from tests.support.recipe_jobs import write_recipe_job
from tests.support.recipe_rows import ENDS

COPIES = 10  # of each row


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "recipe",
    [
        "oasis_n",  # in the middle of its lists
        pytest.param("caption_hallucination", marks=SLOW),
        pytest.param("vl_thinking", marks=SLOW),
        pytest.param("prompt_evolve", marks=SLOW),
    ],
)
def test_a_run_that_is_killed_and_resumed_makes_the_rows_of_one_that_was_not(recipe: str, tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    keys = {"rows_in_flight": 8, "rows_per_task": 2}
    execute(write_recipe_job(undisturbed, recipe, copies=COPIES, **keys))
    output = {"path": str(killed / "run"), "rows_per_part": 6}
    path = write_recipe_job(killed, recipe, copies=COPIES, slow=True, executor="ray", output=output, **keys)

    run = start("run", path, "--local")
    until(lambda: list(killed.glob("run/*/part-*")), run)
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=60)
    assert run.returncode == -signal.SIGKILL
    assert read_manifest(str(killed / "run"))["state"] == "running"
    parts = {part: part.read_bytes() for part in killed.glob("run/*/part-*")}
    ended = sum(map(len, made(killed / "run").values()))
    assert 6 <= ended < COPIES * len(ENDS[recipe])

    again = call_here("run", path, "--local")
    assert again.returncode == 0, again.stderr
    assert f"resuming: {ended} of {COPIES * len(ENDS[recipe])} rows had ended before\n" in again.stdout
    assert {part: part.read_bytes() for part in parts} == parts
    assert made(killed / "run") == made(undisturbed / "run")
    assert audit(str(killed / "run")).faults == []
