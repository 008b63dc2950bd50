"""Part writer: parts appear atomically, and a retried write replaces its part."""

from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.output.part_writer import PartWriter, unpack, write_part
from oasis_ray.output.record import batch
from oasis_ray.output.sink import PartSink
from oasis_ray.types import ACCEPTED, FAILED
from tests.support.records import RECIPE, ended

SCHEMAS = {
    ACCEPTED: pa.schema({"id": pa.string()}),
    FAILED: pa.schema({"id": pa.string(), "n": pa.int64()}),
}


def batches(*rows: tuple[list[str], list[str]]) -> pa.Table:
    """Batches of accepted and failed ids."""
    return pa.table(
        {
            "accepted": pa.array(
                [[{"id": i} for i in done] for done, _ in rows], pa.list_(pa.struct({"id": pa.string()}))
            ),
            "failed": pa.array(
                [[{"id": i, "n": 1} for i in lost] for _, lost in rows],
                pa.list_(pa.struct({"id": pa.string(), "n": pa.int32()})),
            ),
        }
    )


def ids(table: pa.Table) -> dict[str, list[str]]:
    tables = dict(unpack([table], SCHEMAS))
    assert all(rows.schema == SCHEMAS[outcome] for outcome, rows in tables.items())
    return {str(outcome): rows.column("id").to_pylist() for outcome, rows in tables.items()}


TWO, THREE = (["a", "b"], []), (["c"], ["x"])


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (batches(TWO), {"accepted": ["a", "b"]}),
        (batches(TWO, THREE), {"accepted": ["a", "b", "c"], "failed": ["x"]}),
        (batches(TWO, ([], []), THREE), {"accepted": ["a", "b", "c"], "failed": ["x"]}),
        (batches(TWO, THREE).slice(1), {"accepted": ["c"], "failed": ["x"]}),
        (
            pa.concat_tables([batches(TWO, THREE).slice(1), batches(TWO)]),
            {"accepted": ["c", "a", "b"], "failed": ["x"]},
        ),
        (batches(([], [])), {}),
        (batches(), {}),
    ],
)
def test_batches_are_unpacked_in_order_into_the_outcomes_that_occur(
    table: pa.Table, expected: dict[str, list[str]]
) -> None:
    assert ids(table) == expected


def test_rows_of_an_outcome_without_a_schema_are_an_error() -> None:
    with pytest.raises(KeyError, match=r"^'captions'$"):
        ids(batches(TWO).append_column("captions", pa.array([[{"id": "c"}]])))


def test_batches_of_more_than_two_gigabytes_are_unpacked() -> None:
    # One image of 128 MiB, 17 times: more than the offsets of one binary array can address.
    image = pa.struct({"bytes": pa.binary()})
    data = pa.array([{"bytes": bytes(1 << 27)}], image)
    rows = pa.StructArray.from_arrays([pa.array(["a"]), data], names=["id", "image"])
    table = pa.table({"accepted": pa.ListArray.from_arrays([0, 1], rows)})
    schema = pa.schema({"id": pa.string(), "image": image})
    tables = list(unpack([table] * 17, {ACCEPTED: schema}))
    assert sum(part.num_rows for _, part in tables) == 17


def test_writing_a_part_leaves_no_other_file(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"]})
    write_part(table, str(tmp_path / "run/accepted"), "part-1.parquet")
    assert [path.name for path in tmp_path.rglob("*.*")] == ["part-1.parquet"]
    assert pq.read_table(tmp_path / "run/accepted/part-1.parquet").equals(table)


def test_a_retried_write_replaces_its_part(tmp_path: Path) -> None:
    write_part(pa.table({"id": ["a", "b"]}), str(tmp_path), "part-1.parquet")
    write_part(pa.table({"id": ["c"]}), str(tmp_path), "part-1.parquet")
    write_part(pa.table({"id": ["d"]}), f"file://{tmp_path}", "part-2.parquet")
    assert {path.name: pq.read_table(path).column("id").to_pylist() for path in tmp_path.iterdir()} == {
        "part-1.parquet": ["c"],
        "part-2.parquet": ["d"],
    }


def test_a_write_that_fails_leaves_the_part_as_it_was(tmp_path: Path) -> None:
    write_part(pa.table({"id": ["a"]}), str(tmp_path), "part-1.parquet")
    unwritable = pa.table({"id": pa.array([{}], pa.struct([]))})
    with pytest.raises(pa.ArrowException):
        write_part(unwritable, str(tmp_path), "part-1.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["part-1.parquet"]
    assert pq.read_table(tmp_path / "part-1.parquet").column("id").to_pylist() == ["a"]


def test_a_part_is_written_to_any_file_system() -> None:
    write_part(pa.table({"id": ["a"]}), "memory://test_sink/accepted", "part-1.parquet")
    with fsspec.open("memory://test_sink/accepted/part-1.parquet", "rb") as stream:
        assert pq.read_table(stream).column("id").to_pylist() == ["a"]


@pytest.mark.parametrize(
    ("rows_per_part", "rows_per_task", "expected"), [(512, 8, 64), (8, 8, 1), (4, 8, 1), (17, 8, 2)]
)
def test_a_part_gathers_as_many_batches_as_fill_it(rows_per_part: int, rows_per_task: int, expected: int) -> None:
    sink = PartSink(PartWriter("run", RECIPE, session="s"), rows_per_part=rows_per_part, rows_per_task=rows_per_task)
    assert sink.min_rows_per_write == expected


def test_a_retried_task_replaces_only_its_own_parts(tmp_path: Path) -> None:
    writer = PartWriter(str(tmp_path), RECIPE, session="5f")
    lost = ended(id="x", route=FAILED, node="admit", reason="image_missing", values={})
    first, second = (batch(rows, RECIPE, keep_images=False) for rows in ([ended(id="a"), lost], [ended(id="b")]))
    for task, batches in ((3, [first]), (4, [second]), (3, [first])):
        counts = writer.write(batches, task)
    assert counts == {"accepted": 1, "failed": 1}
    found = {
        str(path.relative_to(tmp_path)): pq.read_table(path)["id"].to_pylist() for path in tmp_path.rglob("*.parquet")
    }
    assert found == {
        "accepted/part-5f-000003.parquet": ["a"],
        "accepted/part-5f-000004.parquet": ["b"],
        "failed/part-5f-000003.parquet": ["x"],
    }
