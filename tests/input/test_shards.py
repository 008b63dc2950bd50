"""Shards of all forms are found, checked, and read in batches; all problems are reported together at load."""

from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.errors import JobError
from oasis_ray.input.reader import read
from oasis_ray.input.shards import open_shards
from oasis_ray.job.input import Input, Sample
from oasis_ray.recipe.source import source_type

ROWS = pa.table(
    {"id": ["a", "b", "c"], "image": [b"1", None, b"3"], "text": ["x", "y", "z"], "source": ["s", "t", "u"]}
)


def write(path: Path, columns: Any, row_group_size: int = 4) -> str:
    """Write a shard of a table, or of columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path, row_group_size=row_group_size)
    return str(path)


def ids(path: str, **keys: Any) -> list[str]:
    shards = open_shards(Input(path=path, image=None, **keys))
    return [name for group in shards.groups for name in group.ids.to_pylist()]


def batches(path: str, size: int = 8, **keys: Any) -> list[list[dict[str, Any]]]:
    """Return the rows of all batches."""
    given = Input(path=path, **keys)
    return [batch.to_pylist() for group in open_shards(given).groups for batch in read(group, given, size)]


def problems(path: str, source: dict[str, str] | None = None, **keys: Any) -> tuple[str, ...]:
    """Return the problems of shards for a recipe that reads `source`."""
    config, kinds = Input(path=path, **keys), {name: source_type(kind) for name, kind in (source or {}).items()}
    with pytest.raises(JobError) as error:
        open_shards(config, source=kinds)
    return error.value.problems


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("{}/a.parquet", ["a", "b"]),
        ("file://{}/a.parquet", ["a", "b"]),
        ("{}/*.parquet", ["a", "b"]),
        ("{}/**/*.parquet", ["a", "b", "c"]),
        ("{}", ["a", "b", "c"]),
        ("{}/", ["a", "b", "c"]),
        ("$SHARDS/more", ["c"]),
        ("~/a.parquet", ["a", "b"]),
        ("{}/old [1]", ["d"]),
    ],
)
def test_shards_are_a_file_a_glob_a_folder_or_a_url(
    path: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = tmp_path if "old" in path else tmp_path / "s"
    monkeypatch.setenv("SHARDS", str(shards))
    monkeypatch.setenv("HOME", str(shards))
    write(tmp_path / "s/a.parquet", ROWS.slice(0, 2))
    write(tmp_path / "s/more/b.parquet", ROWS.slice(2))
    write(tmp_path / "old [1]/c.parquet", {"id": ["d"]})
    (tmp_path / "s/notes.txt").write_text("no shard")
    assert ids(path.format(shards), id="id") == expected


def test_shards_are_read_from_any_file_system() -> None:
    with fsspec.open("memory://test_source/a.parquet", "wb") as stream:
        pq.write_table(ROWS, stream)
    for path in ("memory://test_source", "memory://test_source/a.parquet", "memory://test_source/*.parquet"):
        assert [row["image"]["bytes"] for row in batches(path, id="id")[0]] == [b"1", None, b"3"]


def test_ids_default_to_file_row_group_and_row(tmp_path: Path) -> None:
    write(tmp_path / "x/a.parquet", ROWS, row_group_size=2)
    write(tmp_path / "x/sub/b.parquet", ROWS.slice(2))
    assert ids(str(tmp_path)) == ["x/a:0:0", "x/a:0:1", "x/a:1:0", "x/sub/b:0:0"]
    assert ids(str(tmp_path / "x/a.parquet")) == ["a:0:0", "a:0:1", "a:1:0"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.int64(), pa.dictionary(pa.int32(), pa.string())])
def test_ids_become_text(kind: pa.DataType, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"id": pa.array(["5", "6"]).cast(kind)})
    assert ids(path, id="id") == ["5", "6"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([b"1", None], pa.binary()), [(b"1", None), (None, None)]),
        (pa.array([b"1", b""], pa.large_binary()), [(b"1", None), (b"", None)]),
        (pa.array([{"path": "x", "bytes": b"1", "width": 2}, None]), [(b"1", "x"), (None, None)]),
        (pa.array(["a.png", None]), [(None, "a.png"), (None, None)]),
        (pa.array(["a.png", None], pa.large_string()), [(None, "a.png"), (None, None)]),  # as written by polars
    ],
)
def test_images_are_converted_to_bytes_and_path(column: pa.Array, expected: list[Any], tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"image": column})
    images = [row["image"] for row in batches(path, root=str(tmp_path))[0]]
    assert images == [{"bytes": data, "path": path} for data, path in expected]


@pytest.mark.parametrize("columns", [(), ("where", "text")])
def test_a_row_has_the_origin_of_its_image(columns: tuple[str, ...], tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"where": ["docvqa", None], "text": ["x", "y"]})
    rows = batches(path, image=None, origin="where", columns=columns)[0]
    assert [row["origin"] for row in rows] == ["docvqa", None]
    assert [row.get("values", {}).get("where") for row in rows] == (["docvqa", None] if columns else [None, None])


def test_batches_keep_the_order_and_end_with_the_row_group(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"id": [f"r{i}" for i in range(7)]}, row_group_size=5)
    found = batches(path, 2, id="id", image=None)
    assert [[row["id"] for row in rows] for rows in found] == [["r0", "r1"], ["r2", "r3"], ["r4"], ["r5", "r6"]]
    assert found[3][1] == {"id": "r6", "source": {"file": "a", "row_group": 1, "row": 1}}


def test_rows_that_have_ended_are_not_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"id": [f"r{i}" for i in range(9)]}, row_group_size=3)
    given = Input(path=path, id="id", image=None)
    left = open_shards(given).without(pa.array(["r0", "r2", "r3", "r4", "r5", "r7", "elsewhere"]))
    rows = [batch.to_pylist() for group in left.groups for batch in read(group, given, 2)]
    assert rows == [
        [{"id": "r1", "source": {"file": "a", "row_group": 0, "row": 1}}],
        [{"id": "r6", "source": {"file": "a", "row_group": 2, "row": 0}}],
        [{"id": "r8", "source": {"file": "a", "row_group": 2, "row": 2}}],
    ]


def sampled(path: str, **sample: int) -> list[str]:
    found = batches(path, 4, id="id", image=None, sample=Sample(**sample))
    return [row["id"] for rows in found for row in rows]


def test_a_sample_is_spread_over_all_shards_and_the_same_however_they_are_cut(tmp_path: Path) -> None:
    names = [f"r{place:03d}" for place in range(400)]
    for place in range(8):
        write(tmp_path / f"small/{place}.parquet", {"id": names[place * 50 : place * 50 + 50]}, row_group_size=7)
    write(tmp_path / "one.parquet", {"id": names}, row_group_size=400)
    chosen = sampled(str(tmp_path / "small"), rows=100)
    assert chosen == sampled(str(tmp_path / "one.parquet"), rows=100) == sorted(chosen)
    assert len(set(chosen)) == 100
    assert {int(name[1:]) // 50 for name in chosen} == set(range(8))
    assert chosen != sampled(str(tmp_path / "small"), rows=100, seed=1)
    assert set(sampled(str(tmp_path / "small"), rows=20)) < set(chosen)
    assert sampled(str(tmp_path / "small"), rows=1000) == names


def test_only_row_groups_with_pending_rows_of_a_sample_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"id": [f"r{i}" for i in range(40)]}, row_group_size=4)
    shards = open_shards(Input(path=path, id="id", image=None, sample=Sample(rows=5)))
    names = [name for group in shards.groups for name in group.ids_todo.to_pylist()]
    assert (shards.rows, len(names), [group.rows > 0 for group in shards.groups]) == (5, 5, [True] * len(shards.groups))
    assert len(shards.groups) <= 5
    left = shards.without(pa.chunked_array([[names[0], names[3], "elsewhere"]], pa.string()))
    assert [name for group in left.groups for name in group.ids_todo.to_pylist()] == [names[1], names[2], names[4]]


def test_duplicate_ids_are_numbered_without_collisions(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"id": ["a", "b", "a", "a#2", "a"]})
    assert ids(path, id="id", repeated_ids="number") == ["a", "b", "a#3", "a#2", "a#4"]


@pytest.mark.parametrize("column", ["id", "source"])
def test_a_text_column_does_not_replace_the_id_or_address_of_a_row(column: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"id": ["a", "a"], "source": ["s", "t"]})
    rows = batches(path, id="id", image=None, columns=(column,), repeated_ids="number")[0]
    assert [row["source"]["row"] for row in rows] == [0, 1]
    assert [row["id"] for row in rows] == ["a", "a#2"]


def test_an_empty_shard_beside_others_is_valid(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ROWS.slice(0, 0))
    write(tmp_path / "b.parquet", ROWS)
    assert ids(str(tmp_path), id="id") == ["a", "b", "c"]


IMAGES = "images must be binary, struct<bytes, path>, or a path (string)"
NO_ID = "1 row has no id in column 'id'; fill in the ids, or remove `input.id` to make ids of file, row group and row"
UNLIKE: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no id column": (ROWS, {"id": "ID"}, " has no column 'ID' (input.id); it has: id, image, text, source."),
    "null ids": ({"id": ["a", None]}, {"id": "id"}, f": {NO_ID}"),
    "list ids": ({"id": [[1]]}, {"id": "id"}, ": column 'id' is list<element: int64>; ids must be text or numbers"),
    "number images": ({"image": [1]}, {"image": "image"}, f": column 'image' is int64; {IMAGES}"),
    "number bytes": ({"image": [{"bytes": 1, "path": "x"}]}, {"image": "image"},
                     f": column 'image' is struct<bytes: int64, path: string>; {IMAGES}"),
    "paths without root": ({"image": ["a.png"]}, {"image": "image"},
                           ": column 'image' contains paths; set `input.root` to their base folder"),
    "no text": (ROWS, {"source": {"q": "text"}, "columns": {"q": "image"}},
                (": column 'image' is binary; the recipe reads `q` as text; convert the column, or name another one "
                "(input.columns: {q: COLUMN})")),
    "numbers for origin": ({"image": [b"1"], "set": [1]}, {"image": "image", "origin": "set"},
                           ": column 'set' is int64; columns of `input.origin` must be text"),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "keys", "expected"), UNLIKE.values(), ids=UNLIKE)
def test_a_shard_that_cannot_be_read_says_what_to_do(
    columns: Any, keys: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.parquet", columns)
    assert problems(path, **{"image": None} | keys) == (path + expected,)


def test_duplicate_ids_are_a_problem_that_shows_the_first_few(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"id": list("abcdefgabcdef")})
    shown = "input.id: 6 ids of column 'id' occur more than once ('a', 'b', 'c', 'd', 'e', …)"
    (problem,) = problems(path, id="id", image=None)
    assert problem == f"{shown}; make them unique, or set `input.repeated_ids: number`"


def test_all_problems_of_all_shards_are_reported_together(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"id": ["a"], "images": [b""]})
    write(tmp_path / "b.parquet", {"id": ["a", None], "image": [b"", b""]})
    (tmp_path / "c.parquet").write_text("no Parquet")
    (tmp_path / "d.parquet").write_bytes(b"")
    (tmp_path / "e.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n")
    first, second, third, fourth, fifth = problems(str(tmp_path), id="id")
    assert (
        first == f"{tmp_path}/a.parquet has no column 'image' (input.image); it has: id, images. Did you mean 'images'?"
    )
    assert second == f"{tmp_path}/b.parquet: {NO_ID}"
    assert third.startswith(f"{tmp_path}/c.parquet can't be read as Parquet: ")
    assert fourth.startswith(f"{tmp_path}/d.parquet can't be read as Parquet: ")
    pointer = "is a Git LFS pointer instead of the file; run git lfs pull, or hf download"
    assert fifth == f"{tmp_path}/e.parquet {pointer}"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("{}/none", "there are no Parquet files at {}/none"),
        ("{}/x*.parquet", "there are no Parquet files at {}/x*.parquet"),
        ("{}/empty.parquet", "the 1 Parquet files at {}/empty.parquet have no rows"),
        ("nosuch://x/a.parquet", "nosuch://x/a.parquet: Protocol not known: nosuch; see docs/storage.md"),
    ],
)
def test_no_rows_at_all_is_a_problem_of_the_job(path: str, expected: str, tmp_path: Path) -> None:
    write(tmp_path / "empty.parquet", ROWS.slice(0, 0))
    assert problems(path.format(tmp_path)) == ("input.path: " + expected.format(tmp_path),)


def test_numbering_skips_any_number_of_ids_that_the_input_uses(tmp_path: Path) -> None:
    used = ["a", "a", *(f"a#{number}" for number in range(2, 3000))]
    found = ids(write(tmp_path / "s.parquet", {"id": used}), id="id", repeated_ids="number")
    assert found == ["a", "a#3000", *used[2:]]


BAD = pa.array([b"a", b"\xff\xfe", None, b"\xc3"], pa.binary()).view(pa.string())


def test_invalid_utf8_in_text_and_paths_is_read_with_replacement_characters(tmp_path: Path) -> None:
    path = write(tmp_path / "s.parquet", {"image": BAD, "text": BAD})
    rows = batches(path, root=str(tmp_path), columns=("text",))[0]
    assert [(row["image"]["path"], row["values"]["text"]) for row in rows] == [
        ("a", "a"), ("\ufffd\ufffd", "\ufffd\ufffd"), (None, None), ("\ufffd", "\ufffd"),
    ]  # fmt: skip


def test_ids_that_are_no_utf8_are_a_problem_of_the_input(tmp_path: Path) -> None:
    path = write(tmp_path / "s.parquet", {"id": BAD.drop_null(), "image": [b"", b"", b""]})
    assert problems(path, id="id") == (f"{path}: column 'id' contains invalid UTF-8; rewrite the ids as UTF-8",)
