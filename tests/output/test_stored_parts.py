"""Parts, images and listings in an S3 store."""

from pathlib import Path

import pyarrow as pa
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import RowError, RunError
from oasis_ray.input.image_fetch import fetch
from oasis_ray.job.load import load_job
from oasis_ray.output.ledger import reopen_failed
from oasis_ray.output.part_writer import PartWriter, write_part
from oasis_ray.output.record import batch
from oasis_ray.output.repair import repair
from oasis_ray.pipeline.walk import settle
from oasis_ray.recipe.row import Row
from oasis_ray.storage import local_texts, locate
from oasis_ray.types import FAILED, REJECTED, Divert
from tests.support.jobs import write_job
from tests.support.s3 import Store
from tests.support.shards import picture

# Buckets of this module only: all tests share the store.
DATA, RUNS, READABLE = "parts-data", "parts-runs", "parts-readable"
CREDENTIALS = "check the credentials in the environment and their permissions (docs/storage.md)"


@pytest.fixture(scope="module")
def filled(store: Store) -> Store:
    """The store with images, an empty bucket, and a read-only one."""
    store.put(DATA, {f"images/good-0{n}.png": picture() for n in range(2)})
    store.put(RUNS, {})
    store.put(READABLE, {})
    store.take_nothing(READABLE)
    return store


@pytest.fixture
def near(filled: Store, store_here: Store) -> Store:
    """The filled store, accessible from this process."""
    return store_here


def test_a_part_appears_atomically(near: Store) -> None:
    parquet_has_none = pa.table({"id": ["a"], "nothing": pa.array([{}], pa.struct([]))})
    with pytest.raises(pa.ArrowNotImplementedError):
        write_part(parquet_has_none, f"s3://{RUNS}/parts/accepted", "part-0.parquet")
    assert [name for name in near.names(RUNS) if name.startswith("parts")] == []


def test_a_part_that_is_written_again_replaces_all_parts_of_its_task(near: Store, tmp_path: Path) -> None:
    _, recipe = load_job(write_job(tmp_path), SHIPPED)
    writer = PartWriter(f"s3://{RUNS}/again", recipe, session="s")
    for route in (REJECTED, FAILED):
        row = Row("a", {"file": "s", "row_group": 0, "row": 0}, None, None)
        ended = batch([settle(row, "hook", Divert(route, "why"))], recipe, keep_images=False)
        writer.write([ended], 0)
    assert [name for name in near.names(RUNS) if name.startswith("again")] == ["again/failed/part-s-000000.parquet"]
    denied = PartWriter(f"s3://{READABLE}/run", recipe, session="s")
    with pytest.raises(RunError) as error:
        denied.write([ended], 0)
    assert str(error.value) == f"output.path: s3://{READABLE}/run: Forbidden; {CREDENTIALS}"


def test_parts_are_repaired_after_a_killed_session_and_failed_rows_reopened(near: Store) -> None:
    run, client = f"s3://{RUNS}/torn", near.client()
    write_part(pa.table({"id": ["a", "b"]}), f"{run}/accepted", "part-0.parquet")
    write_part(pa.table({"id": ["b", "c"], "reason": ["x", "y"]}), f"{run}/failed", "part-1.parquet")
    client.put_object(Bucket=RUNS, Key="torn/captions/part-2.parquet", Body=b"PAR1 and then")
    ended, notes = repair(run, ("accepted", "captions", "rejected", "failed"))
    assert ended.to_pylist() == ["a", "b", "c"]
    assert [text.split(" (")[0].split(";")[0] for text in notes] == [
        "quarantined an unreadable part", "1 row was written twice",
    ]  # fmt: skip
    assert reopen_failed(run, "y") == 1
    assert [name for name in near.names(RUNS) if name.startswith("torn")] == [
        "torn/accepted/part-0.parquet", "torn/broken/captions-part-2.parquet",
    ]  # fmt: skip


def test_an_image_in_a_store_that_denies_access_is_an_infrastructure_failure(near: Store) -> None:
    assert fetch(f"s3://{DATA}/images", "good-00.png", 10) == picture()[:11]
    with pytest.raises(RowError) as missing:
        fetch(f"s3://{DATA}/images", "none.png", 10)
    assert missing.value.args == ("image_missing", "there is no file 'none.png' below input.root")
    near.check_keys(0)
    try:
        with pytest.raises(RunError) as error:
            fetch(f"s3://{DATA}/images", "good-01.png", 10)
    finally:
        near.check_keys(float("inf"))
    assert str(error.value) == f"input.root: s3://{DATA}/images: Forbidden; {CREDENTIALS}"


def test_files_that_other_processes_write_are_listed(near: Store) -> None:
    fs, path = locate(f"s3://{RUNS}/watched")
    assert fs.find(path) == []
    near.client().put_object(Bucket=RUNS, Key="watched/new", Body=b"1")
    assert locate(f"s3://{RUNS}/watched")[0].find(path) == [f"{RUNS}/watched/new"]


def test_a_name_that_leads_out_of_the_folder_is_not_downloaded(near: Store, tmp_path: Path) -> None:
    for name in ("names/in.txt", "names/sub/deep.txt", "names/../../out.txt", "names/sub\\..\\out.txt"):
        near.client().put_object(Bucket=DATA, Key=name, Body=b"text")
    with local_texts(f"s3://{DATA}/names") as folder:
        assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.txt")) == ["in.txt", "sub/deep.txt"]
    assert not folder.exists()
