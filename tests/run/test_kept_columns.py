"""`input.keep` keeps columns of the input in the records; `output.nodes: none` leaves the outputs of nodes out."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.errors import JobError
from oasis_ray.output.audit import audit
from tests.support.jobs import execute, rows_of
from tests.support.shards import picture

MORE: dict[str, list[Any]] = {
    "number": [7, None], "day": [date(2020, 1, 2), None], "tags": [["a", "b"], []],
    "place": [{"lat": 1.5, "lon": 2.5}, None],
}  # fmt: skip


def write(path: Path, **more: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    image = {"bytes": picture(), "path": "a.png"}
    pq.write_table(pa.table({"id": ["good", "caption"], "image": [image, image], **(MORE | more)}), path)


@pytest.mark.parametrize("keep", ["all", ["number", "tags"], []])
def test_kept_columns_are_in_the_records_with_their_types(
    keep: Any, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    write(tmp_path / "shards/a.parquet")
    execute(job_file(input={"path": str(tmp_path / "shards"), "id": "id", "keep": keep}))
    names = list(MORE) if keep == "all" else keep
    for outcome, at in (("accepted", 0), ("captions", 1)):
        (row,) = rows_of(tmp_path / "run", outcome)
        assert row.get("columns", {}) == {name: MORE[name][at] for name in names}
    (part,) = (tmp_path / "run/accepted").glob("*.parquet")
    if "number" in names:
        assert pq.read_schema(part).field("columns").type.field("number").type == pa.int64()
    assert audit(str(tmp_path / "run")).faults == []


@pytest.mark.parametrize(
    ("keep", "more", "problem"),
    [
        (
            ["numbr"],
            {},
            " has no column 'numbr' (input.keep); it has: id, image, number, day, tags, place. Did you mean 'number'?",
        ),
        (["number"], {"number": ["7", "8"]}, ": column 'number' (input.keep) is string, but int64 in "),
    ],
)
def test_columns_that_cannot_be_kept_are_reported(
    keep: list[str], more: dict[str, Any], problem: str, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    write(tmp_path / "shards/a.parquet")
    write(tmp_path / "shards/b.parquet", id=["good-2", "caption-2"], **more)
    with pytest.raises(JobError) as error:
        execute(job_file(input={"path": str(tmp_path / "shards"), "id": "id", "keep": keep}))
    assert problem in error.value.problems[-1]


def test_a_column_that_the_recipe_keeps_too_is_reported(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    write(tmp_path / "shards/a.parquet")
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nextends: oasis\nrecords: {accepted: {columns: {number: clarity.score}}}\n"
    )
    keys = {
        "recipe": str(tmp_path / "mine.yaml"),
        "input": {"path": str(tmp_path / "shards"), "id": "id", "keep": "all"},
    }
    with pytest.raises(JobError) as error:
        execute(job_file(**keys))
    assert error.value.problems == (
        "input.keep: record 'accepted' has a column 'number' too; leave it out of `keep`, or rename it in the recipe",
    )


def test_a_run_without_the_outputs_of_its_nodes(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    write(tmp_path / "shards/a.parquet")
    execute(job_file(output={"path": str(tmp_path / "run"), "nodes": "none"}))
    (row,) = rows_of(tmp_path / "run", "accepted")
    assert set(row["nodes"].values()) == {None}
    assert (row["scores"]["clarity"], row["instruction"]) == (5, "What about the good thing?")
    assert audit(str(tmp_path / "run")).faults == []
