"""What a run does with the folder that it finds: continue it, refuse it, repair it, take failed rows out of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from oasis_ray.errors import JobError
from oasis_ray.input.shards import Shards, open_shards
from oasis_ray.output.ledger import ended_ids
from oasis_ray.output.manifest import describe, node_digests
from oasis_ray.output.part_writer import write_part
from oasis_ray.output.row_state import state, waiting_columns
from oasis_ray.run.resume import OpenedRun, open_folder, recorded
from tests.support.jobs import rows
from tests.support.run_folders import RunFolder, accepted, failed, rejected, row

NAMES = ["a", "b", "c", "d"]


@pytest.fixture
def run(tmp_path: Path, job_file: Callable[..., Path]) -> RunFolder:
    """A run of four rows, in which nothing has ended yet."""
    rows(tmp_path, *NAMES)
    return RunFolder(tmp_path / "run", job_file(), len(NAMES))


def opened(run: RunFolder, changes: dict[str, Any] | None = None, **options: Any) -> OpenedRun:
    """The folder as a run finds it whose manifest has these `changes`."""
    fresh = describe(run.job, run.recipe, node_digests(run.job, run.recipe), len(NAMES))
    return open_folder(run.job, open_shards(run.job.input), {**fresh, **(changes or {})}, **options)


def todo(shards: Shards) -> list[str]:
    return [name for group in shards.groups for name in group.ids_todo.to_pylist()]


def test_a_folder_without_a_run_is_begun(tmp_path: Path, run: RunFolder) -> None:
    assert recorded(str(tmp_path / "nowhere")) == {}
    found = opened(run)
    assert (todo(found.todo), found.before, found.notes, found.manifest["sessions"]) == (NAMES, 0, [], [])


def test_rows_that_have_ended_are_left_out_and_earlier_sessions_stay_in_the_manifest(run: RunFolder) -> None:
    run.part("1", accepted("b"), failed("d"))
    run.manifest(sessions=[{"name": "1a2b"}], state="stopped")
    found = opened(run)
    assert (todo(found.todo), found.before) == (["a", "c"], 2)
    assert found.notes == ["resuming: 2 of 4 rows had ended before"]
    assert (found.manifest["state"], found.manifest["sessions"]) == ("running", [{"name": "1a2b"}])


def test_what_a_killed_session_left_is_repaired_and_reported(run: RunFolder) -> None:
    run.part("1", accepted("a"), accepted("b"))
    run.part("2", rejected("b"))
    (run.path / "accepted/.part-3.parquet.77").write_bytes(b"PAR1")
    (run.path / "failed").mkdir()
    (run.path / "failed/part-4.parquet").write_bytes(b"PAR1 and then")
    found = opened(run)
    assert (todo(found.todo), found.before) == (["c", "d"], 2)
    assert [note.split(":")[0].split(" (")[0] for note in found.notes] == [
        "removed an unfinished part of an earlier session",
        "quarantined an unreadable part",
        "1 row was written twice; one copy of each is kept",
        "resuming",
    ]


@pytest.mark.parametrize(
    ("retry", "left", "count"), [("", ["b", "c", "d"], 2), ("image_broken", ["b", "d"], 1), ("no_kind", ["b"], 0)]
)
def test_failed_rows_are_taken_out_by_reason(retry: str, left: list[str], count: int, run: RunFolder) -> None:
    run.part("1", accepted("a"), failed("c", reason="image_missing"), failed("d", reason="image_broken"))
    found = opened(run, retry=retry)
    assert todo(found.todo) == left
    assert found.notes[0] == ("1 failed row is retried" if count == 1 else f"{count} failed rows are retried")
    assert sorted(ended_ids(str(run.path)).to_pylist()) == [name for name in NAMES if name not in left]


def test_a_run_that_differs_is_refused_with_what_changed_and_nothing_is_touched(run: RunFolder) -> None:
    run.part("1", accepted("a"), failed("b"))
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    with pytest.raises(JobError) as error:
        opened(run, {"seed": 8}, retry="")
    assert error.value.problems == (
        f"{run.path} holds a run that differs from this job: seed was 0 and is 8",
        (
            "give this run its own folder (--set output.path=…), remove this one, or resume it with the changes "
            "(--accept-changes)"
        ),
    )
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


def test_changes_that_are_accepted_are_recorded_with_the_digests_of_before(run: RunFolder) -> None:
    run.part("1", accepted("a"))
    run.manifest(sessions=[{"name": "1a2b"}])
    digests = {node["name"]: node["digest"] for node in recorded(str(run.path))["nodes"]}
    found = opened(run, {"seed": 8}, accept_changes=True)
    (earlier,) = found.manifest["earlier"]
    assert (found.manifest["seed"], found.manifest["sessions"], earlier["changes"]) == (
        8, [{"name": "1a2b"}], ["seed was 0 and is 8"],
    )  # fmt: skip
    assert {node["name"]: node["digest"] for node in earlier["nodes"]} == digests
    assert (todo(found.todo), found.before) == (["b", "c", "d"], 1)


def test_nothing_that_has_ended_is_nothing_that_a_change_could_contradict(run: RunFolder) -> None:
    assert todo(opened(run, {"seed": 8}).todo) == NAMES


def waits(run: RunFolder, *names: str) -> None:
    """Rows that wait for the second phase of an earlier session, at the node `categorize`."""
    made = []
    for name in names:
        one = row(name)
        one.at = "categorize"
        made.append(state(one, run.recipe))
    table = pa.Table.from_pylist(made, waiting_columns(run.recipe))
    write_part(table, str(run.path / "phases/2"), "part-1-1-000000.parquet")


def test_rows_that_wait_for_a_later_phase_are_to_do_and_are_counted(run: RunFolder) -> None:
    waits(run, "a", "c")
    run.part("1", accepted("c"))  # it waited, and has ended since
    found = opened(run)
    assert (todo(found.todo), found.before) == (["a", "b", "d"], 1)
    assert found.notes == ["resuming: 1 of 4 rows had ended before, 1 more wait for a later phase"]


@pytest.mark.parametrize("changed", ["accepted", "a node less"])
def test_rows_that_wait_begin_again_where_the_nodes_are_others(changed: str, run: RunFolder) -> None:
    waits(run, "a")
    manifest = json.loads((run.path / "run.json").read_text())
    if changed == "a node less":
        manifest["nodes"].pop()
        (run.path / "run.json").write_text(json.dumps(manifest))
    found = opened(run, {"seed": 8}, accept_changes=True)
    assert "rows that waited between two phases begin again with the present nodes" in found.notes
    assert not (run.path / "phases").exists()
    assert todo(found.todo) == NAMES
    assert list(run.path.rglob("part-*")) == []


def test_a_run_in_which_nothing_is_left_to_do_says_so(run: RunFolder) -> None:
    run.part("1", *map(accepted, NAMES))
    assert opened(run).notes[-1] == (
        "nothing is left to do; for a new run remove this folder, or name another one (output.path)"
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"data_source": "mine"}, "records.accepted.data_source was 'oasis' and is 'mine'"),
        ({"columns": {"level": "clarity.score"}}, "records.accepted.columns.level was None and is 'clarity.score'"),
        ({"turns": ["hook.text", "respond.text"]},
         ("records.accepted.turns was ['categorize.instruction', 'respond.text'] and is "
          "['hook.text', 'respond.text']")),
    ],
)  # fmt: skip
def test_changed_records_are_refused(change: dict[str, Any], text: str, run: RunFolder) -> None:
    run.part("1", accepted("a"))
    records = json.loads((run.path / "run.json").read_text())["records"]
    with pytest.raises(JobError) as error:
        opened(run, {"records": records | {"accepted": records["accepted"] | change}})
    assert error.value.problems[0].endswith(f"holds a run that differs from this job: {text}")
