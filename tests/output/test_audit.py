"""Audit: every kind of fault in a run folder is found from its files alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import JobError
from oasis_ray.job.job import Job
from oasis_ray.job.load import load_job
from oasis_ray.output.audit import Audit, audit
from oasis_ray.output.ledger import ended_ids
from oasis_ray.output.manifest import describe, node_digests, write_manifest
from oasis_ray.output.part_writer import unpack, write_part
from oasis_ray.output.record import batch
from oasis_ray.output.repair import repair
from oasis_ray.output.schema import columns
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.recipe.row import Row
from oasis_ray.types import FAILED, REJECTED
from tests.support.shards import picture, shard

IDS = ["a", "b", "c", "d", "e", "f", "g"]
COUNTS = {"accepted": 0, "captions": 0, "rejected": 4, "failed": 3}


class Run:
    """A run folder written by hand: four rejected and three failed rows."""

    def __init__(self, folder: Path, job: Job, recipe: Recipe) -> None:
        self.folder, self.job, self.recipe = folder, job, recipe
        self.digests = node_digests(job, recipe)
        self.part(REJECTED, IDS[:4])
        self.part(FAILED, IDS[4:])
        self.manifest()

    def part(self, route: str, ids: list[str], name: str = "part-1.parquet", **steps: str) -> None:
        rows = [
            Row(i, {"file": "s", "row_group": 0, "row": 0}, None, None, route, "hook", "x",
                  lineage=[step(node, digest) for node, digest in (self.digests | steps).items()])
            for i in ids
        ]  # fmt: skip
        schemas = {outcome: columns(self.recipe, outcome) for outcome in self.recipe.outcomes}
        for outcome, table in unpack([batch(rows, self.recipe, keep_images=False)], schemas):
            write_part(table, str(self.folder / outcome), name)

    def manifest(self, **keys: Any) -> None:
        manifest = describe(self.job, self.recipe, self.digests, len(IDS))
        write_manifest(str(self.folder), {**manifest, "state": "done", "rows": COUNTS, **keys})

    def check(self) -> Audit:
        return audit(str(self.folder))

    @property
    def rejected(self) -> Path:
        return self.folder / "rejected/part-1.parquet"


def step(node: str, digest: str) -> dict[str, Any]:
    tokens = {"prompt_tokens": 1, "cached_tokens": 0, "reply_tokens": 1}
    return {"node": node, "digest": digest, "seed": 1, "finish": "stop", "seconds": 0.1, **tokens}


@pytest.fixture
def run(tmp_path: Path, job_file: Callable[..., Path]) -> Run:
    shard(tmp_path / "shards/s.parquet", [{"id": name, "bytes": picture()} for name in IDS])
    return Run(tmp_path / "run", *load_job(job_file(), SHIPPED))


def test_a_sound_run_has_no_faults(run: Run) -> None:
    assert run.check() == Audit(rows=7, outcomes=COUNTS, parts=2, faults=[], notes=[])


def test_a_lost_row_is_found(run: Run) -> None:
    run.part(REJECTED, IDS[1:4])
    assert run.check().faults == [
        "1 id of the input never ended: a",
        f"the parts hold {COUNTS | {'rejected': 3}}, the manifest says {COUNTS}",
    ]


def test_a_row_that_ended_twice_is_found(run: Run) -> None:
    run.part(REJECTED, IDS[2:5], "part-2.parquet")
    assert run.check().faults == [
        "3 ids ended more than once: c, d, e",
        f"the parts hold {COUNTS | {'rejected': 7}}, the manifest says {COUNTS}",
    ]


def test_a_lost_row_is_found_also_where_another_one_ended_twice(run: Run) -> None:
    run.part(REJECTED, ["a", "b", "c", "c"])
    assert run.check().faults == ["1 id ended more than once: c", "1 id of the input never ended: d"]


def test_an_id_that_is_not_of_the_input_is_found(run: Run) -> None:
    run.part(REJECTED, ["x", *IDS[1:4]])
    assert run.check().faults == ["1 id of the input never ended: a", "1 id ended but not in the input: x"]


def test_only_some_ids_are_shown(run: Run) -> None:
    for part in run.folder.rglob("*.parquet"):
        part.unlink()
    assert run.check().faults[0] == "7 ids of the input never ended: a, b, c, d, e, …"


def test_a_step_of_another_configuration_is_found(run: Run) -> None:
    run.part(REJECTED, IDS[:4], hook="0123456789abcdef")
    fault = "4 steps of node 'hook' with digest 0123456789abcdef, which the manifest does not list"
    assert run.check().faults == [f"{run.rejected}: {fault}"]


def test_a_wrong_count_is_found(run: Run) -> None:
    run.manifest(rows=COUNTS | {"failed": 4})
    assert run.check().faults == [f"the parts hold {COUNTS}, the manifest says {COUNTS | {'failed': 4}}"]


def test_a_run_that_did_not_end_is_reported(run: Run) -> None:
    run.manifest(state="running")
    assert run.check().faults == ["the run is running, not done"]


LACKING = pa.table({"id": IDS[:4]})
OTHER = pa.table({"id": IDS[:4], "lineage": [1, 2, 3, 4]})
NUMBERS = pa.table({"id": [1, 2, 3, 4], "lineage": pa.array([[]] * 4, pa.list_(pa.struct({"node": pa.string()})))})


@pytest.mark.parametrize(
    "breaking",
    [
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-20]), id="cut off"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes()[:99] + b"\xff" * 99 + path.read_bytes()[198:]), id="pages"
        ),
        pytest.param(lambda path: pq.write_table(LACKING, path), id="without lineage"),
        pytest.param(lambda path: pq.write_table(OTHER, path), id="another lineage"),
        pytest.param(lambda path: pq.write_table(NUMBERS, path), id="other ids"),
    ],
)
def test_a_part_that_cannot_be_read_is_a_fault_of_its_own(run: Run, breaking: Callable[[Path], Any]) -> None:
    breaking(run.rejected)
    first, *rest = run.check().faults
    assert first.startswith(f"{run.rejected} can't be read: ")
    assert rest == [
        "4 ids of the input never ended: a, b, c, d",
        f"the parts hold {COUNTS | {'rejected': 0}}, the manifest says {COUNTS}",
    ]


def test_a_part_that_a_killed_writer_left_is_not_counted(run: Run) -> None:
    (run.folder / "rejected/.part-1.parquet.77").write_bytes(b"half")
    assert run.check().faults == []


def test_without_the_input_rows_are_only_counted(run: Run, tmp_path: Path) -> None:
    (tmp_path / "shards/s.parquet").unlink()
    result = run.check()
    problem = f"input.path: there are no Parquet files at {tmp_path}/shards"
    assert result == Audit(7, COUNTS, 2, [], [f"the input can't be read, so rows are only counted ({problem})"])
    run.part(REJECTED, ["x"])
    assert run.check().faults[0] == "4 rows ended, the input had 7"


def test_an_input_that_has_grown_is_found(run: Run, tmp_path: Path) -> None:
    shard(tmp_path / "shards/t.parquet", [{"id": "h", "bytes": picture()}])
    result = run.check()
    assert (result.rows, result.faults) == (8, ["1 id of the input never ended: h"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "{} is not a run folder: it has no run.json"),
        ("{", "{}/run.json can't be read: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "{}/run.json can't be read: it is not the manifest of a run"),
        ("{}", "{}/run.json can't be read: it is not the manifest of a run"),
    ],
)
def test_a_folder_that_is_not_a_run_is_a_problem(text: str | None, expected: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(JobError) as error:
        audit(str(tmp_path))
    assert error.value.problems == (expected.replace("{}", str(tmp_path), 1),)


def test_a_run_folder_may_have_glob_characters_in_its_name(run: Run) -> None:
    folder = run.folder.rename(run.folder.with_name("run [1]*"))
    (folder / "failed/.part-2.parquet.99").write_bytes(b"")
    assert (audit(str(folder)).faults, len(ended_ids(str(folder)))) == ([], len(IDS))
    note = f"removed an unfinished part of an earlier session: {folder}/failed/.part-2.parquet.99"
    assert repair(str(folder), tuple(COUNTS))[1] == [note]
