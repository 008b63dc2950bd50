"""The sums of elements: the manifest's are those of the parts, or the audit reports a fault; and how it prints them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.output.audit import audit
from oasis_ray.output.element_sums import RECOUNT
from oasis_ray.output.manifest import read_manifest
from tests.support.command import call_here
from tests.support.jobs import execute
from tests.support.list_runs import SUMS, Row, change, entry, list_run
from tests.support.recipe_jobs import write_recipe_job
from tests.support.shards import shard

OF_KIND = "10 elements = 10 kept"
OF_CLARITY = "3 elements = 2 kept + 1 rejected: score_2"


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return list_run(tmp_path_factory.mktemp("lists"))


@pytest.fixture
def run(job: Path, tmp_path: Path) -> Path:
    """A copy of the run, to damage it."""
    return Path(shutil.copytree(job.parent / "run", tmp_path / "run"))


def dropped_as(**keys: str) -> Callable[[Row], None]:
    """Damage: what `clarity` dropped has other keys."""
    return lambda row: entry(row, "clarity")["dropped"][0].update(keys)


def stated(run: Path, node: str, many: int, reason: str = "") -> None:
    """Damage of run.json: the elements that `node` dropped for a reason, or kept, are so many."""
    manifest = read_manifest(str(run))
    outcome = "rejected" if reason else ""
    manifest["elements"] = [
        one for one in manifest["elements"] if (one["node"], one["reason"]) != (node, reason)
    ] + [{"node": node, "outcome": outcome, "reason": reason, "elements": many}]  # fmt: skip
    (run / "run.json").write_text(json.dumps(manifest))


def unstated(run: Path) -> None:
    manifest = read_manifest(str(run))
    del manifest["elements"]
    (run / "run.json").write_text(json.dumps(manifest))


# The damage of the run, and for each node what run.json records and what the parts hold.
DIFFERENCES: dict[str, tuple[Callable[[Path], Any], list[tuple[str, str, str]]]] = {
    "more kept in run.json": (
        lambda run: stated(run, "kind", 11), [("kind", "11 elements = 11 kept", OF_KIND)],
    ),
    "fewer dropped in run.json": (
        lambda run: stated(run, "clarity", 0, "score_2"),
        [("clarity", "2 elements = 2 kept + 0 rejected: score_2", OF_CLARITY)],
    ),
    "another reason in run.json": (
        lambda run: [stated(run, "clarity", 0, "score_2"), stated(run, "clarity", 1, "score_1")],
        [("clarity", "3 elements = 2 kept + 1 rejected: score_1 + 0 rejected: score_2", OF_CLARITY)],
    ),
    "a node that no row has": (
        lambda run: stated(run, "ghost", 1), [("ghost", "1 element = 1 kept", "0 elements = 0 kept")],
    ),
    "no sums in run.json": (
        unstated,
        [
            (node, "0 elements = 0 kept", f"{sum(ends.values())} elements = "
             + " + ".join(f"{many} {end}" for end, many in ends.items()))
            for node, ends in SUMS.items()
        ],
    ),
    "another reason in a part": (
        lambda run: change(run, dropped_as(reason="odd"), "poor", "rejected"),
        [("clarity", OF_CLARITY, "3 elements = 2 kept + 1 rejected: odd")],
    ),
    "another outcome in a part": (
        lambda run: change(run, dropped_as(outcome="failed"), "poor", "rejected"),
        [("clarity", OF_CLARITY, "3 elements = 2 kept + 1 failed: score_2")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DIFFERENCES)
def test_sums_that_differ_are_a_fault_until_the_job_is_run_again(case: str, run: Path, job: Path) -> None:
    damage, wrong = DIFFERENCES[case]
    damage(run)
    assert audit(str(run)).faults == [
        f"node '{node}': run.json records {there}, the parts hold {here}; {RECOUNT}" for node, there, here in wrong
    ]
    execute(job, f"output.path={run}")
    assert audit(str(run)).faults == []


def test_where_rows_are_missing_their_elements_are_no_further_fault(run: Path) -> None:
    for part in (run / "accepted").iterdir():
        part.unlink()
    found, stated = ({"accepted": accepted, "rejected": 3, "failed": 0} for accepted in (0, 1))
    assert audit(str(run)).faults == [
        "1 id of the input never ended: good",
        f"the parts hold {found}, the manifest says {stated}",
    ]


def test_a_run_without_elements_keeps_no_sums_of_an_earlier_session(tmp_path: Path) -> None:
    job = write_recipe_job(tmp_path, "oasis_n")
    (tmp_path / "shards/a.parquet").unlink()
    shard(tmp_path / "shards/a.parquet", [{"id": "broken", "bytes": b""}])
    execute(job)
    run = tmp_path / "run"
    manifest = read_manifest(str(run)) | {"elements": [{"node": "kind", "outcome": "", "reason": "", "elements": 5}]}
    (run / "run.json").write_text(json.dumps(manifest))
    assert len(audit(str(run)).faults) == 1
    execute(job)
    assert audit(str(run)).faults == []


def test_the_command_prints_a_line_for_each_node_and_ends_with_1_on_a_fault(run: Path) -> None:
    sound = call_here("audit", run)
    assert (sound.returncode, sound.stderr) == (0, "")
    lines = [
        "4 input rows = 1 accepted + 3 rejected + 0 failed   (2 parts read)",
        "kind: 10 elements = 10 kept",
        "questions: 10 elements = 7 kept + 3 rejected: branch_caption",
        "distinct: 7 elements = 5 kept + 2 rejected: near_duplicate",
        "nonsense: 5 elements = 5 kept",
        "hallucination: 5 elements = 3 kept + 2 rejected: score_1",
        "solvability: 3 elements = 3 kept",
        "clarity: 3 elements = 2 kept + 1 rejected: score_2",
        "gate: 2 elements = 2 kept",
        "respond: 2 elements = 2 kept",
    ]
    assert sound.stdout.splitlines() == [*lines, "every row ended exactly once"]
    stated(run, "gate", 3)
    broken = call_here("audit", run)
    fault = f"fault: node 'gate': run.json records 3 elements = 3 kept, the parts hold 2 elements = 2 kept; {RECOUNT}"
    assert (broken.returncode, broken.stdout.splitlines(), broken.stderr) == (1, lines, f"{fault}\n")
