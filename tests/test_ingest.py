"""Shards from a folder, a tar or a jsonl: what is an image comes along, what is not is named."""

import io
import os
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from oasis_ray.errors import JobError
from oasis_ray.ingest import Ingested, ingest
from oasis_ray.job import Input
from oasis_ray.schema import IMAGE
from oasis_ray.source import open_shards

GOOD = '{"image": "b.PNG"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    (source / "b.PNG").write_bytes(b"bb")
    (source / "sub/a.jpg").write_bytes(b"a")
    (source / "notes.txt").write_text("no image")
    (tmp_path / "secret.png").write_bytes(b"secret")
    return source


def rows(out: Path) -> list[tuple[str, bytes]]:
    """Id and bytes of all rows; the path of an image is its id."""
    found = [row for file in sorted(out.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
    assert all(row["image"]["path"] == row["id"] for row in found)
    return [(row["id"], row["image"]["bytes"]) for row in found]


def problems(source: Path, out: Path) -> tuple[str, ...]:
    with pytest.raises(JobError) as error:
        ingest(source, out)
    return error.value.problems


def test_a_folder_is_taken_with_the_folders_in_it(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert ingest(folder, out) == Ingested(rows=2, shards=1, skipped=())
    assert rows(out) == [("b.PNG", b"bb"), ("sub/a.jpg", b"a")]
    assert pq.read_schema(out / "shard-00000.parquet").field("image").type == IMAGE


def test_a_shard_holds_so_many_rows_and_a_run_can_read_it(folder: Path, tmp_path: Path) -> None:
    assert ingest(folder, tmp_path / "out", rows_per_shard=1) == Ingested(rows=2, shards=2, skipped=())
    assert open_shards(Input(path=str(tmp_path / "out"), id="id")).rows == 2


def test_a_name_that_is_no_text_does_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(b"c")
    made = ingest(folder, tmp_path / "out")
    assert (made.rows + len(made.skipped), rows(tmp_path / "out")[:1]) == (3, [("b.PNG", b"bb")])


def tar(path: Path, mode: str) -> Path:
    """Two images, a text, links, a folder, a pipe."""
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        for name, data in (("x/a.png", b"a"), ("b.JPG", b"b" * 30000), ("notes.txt", b"n")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
        for name, kind, target in (
            ("link.png", tarfile.SYMTYPE, "/etc/passwd"),
            ("hard.png", tarfile.LNKTYPE, "x/a.png"),
            ("folder.png", tarfile.DIRTYPE, ""),
            ("pipe.png", tarfile.FIFOTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            file.addfile(member)
    return path


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.xz", "w:xz")]
)
def test_a_tar_is_taken_without_its_links(name: str, mode: str, tmp_path: Path) -> None:
    skipped = tuple(f"{name}: not an image file" for name in ("notes.txt", "link.png", "hard.png", "pipe.png"))
    assert ingest(tar(tmp_path / name, mode), tmp_path / "out") == Ingested(rows=2, shards=1, skipped=skipped)
    assert rows(tmp_path / "out") == [("x/a.png", b"a"), ("b.JPG", b"b" * 30000)]


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz")])
def test_a_tar_that_is_cut_off_is_a_problem(name: str, mode: str, tmp_path: Path) -> None:
    path = tar(tmp_path / name, mode)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (problem,) = problems(path, tmp_path / "out")
    assert str(path) in problem


@pytest.mark.parametrize(
    ("line", "skipped"),
    [
        ("nope", 'not a line of {"image": "path"} (JSONDecodeError: Expecting value: line 1 column 1 (char 0))'),
        ("[]", 'not a line of {"image": "path"} (TypeError: list indices must be integers or slices, not str)'),
        ('{"id": 1}', 'not a line of {"image": "path"} (KeyError: \'image\')'),
        ('{"image": "../secret.png"}', "'../secret.png' is not a path below input.root"),
        ('{"image": "/etc/passwd"}', "'/etc/passwd' is not a path below input.root"),
        ('{"image": "out.png"}', "'out.png' is a link that leads out of input.root"),
        ('{"image": "none.png"}', "there is no file 'none.png' below input.root"),
        ('{"image": "sub"}', "there is no file 'sub' below input.root"),
    ],
)
def test_a_bad_line_is_passed_over_and_named(line: str, skipped: str, folder: Path, tmp_path: Path) -> None:
    (folder / "out.png").symlink_to(tmp_path / "secret.png")
    (folder / "list.jsonl").write_text(f"{GOOD}\n\n{line}\n")
    made = ingest(folder / "list.jsonl", tmp_path / "out")
    assert made == Ingested(rows=1, shards=1, skipped=(f"list.jsonl, line 3: {skipped}",))
    assert rows(tmp_path / "out") == [("b.PNG", b"bb")]


@pytest.mark.parametrize("line", [b'{"image": 5}', b'{"image": null}', b'{"image": ["b.PNG"]}', b'{"image": "\xff"}'])
def test_a_line_whose_image_is_no_text_is_passed_over(line: bytes, folder: Path, tmp_path: Path) -> None:
    (folder / "list.jsonl").write_bytes(line + b"\n" + GOOD.encode())
    made = ingest(folder / "list.jsonl", tmp_path / "out")
    assert (made.rows, [text[:18] for text in made.skipped]) == (1, ["list.jsonl, line 1"])


@pytest.mark.parametrize(
    ("line", "expected"), [('"id": 7', "7"), ('"id": "x"', "x"), ('"id": null', "b.PNG"), ('"width": 7', "b.PNG")]
)
def test_a_line_may_give_the_id(line: str, expected: str, folder: Path, tmp_path: Path) -> None:
    (folder / "list.jsonl").write_text(f'{{"image": "b.PNG", {line}}}')
    ingest(folder / "list.jsonl", tmp_path / "out")
    assert rows(tmp_path / "out") == [(expected, b"bb")]


def test_what_cannot_be_taken_is_a_problem(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    kinds = ".bmp, .gif, .jpeg, .jpg, .png, .tif, .tiff, .webp"
    none, text = tmp_path / "none.jsonl", folder / "notes.txt"
    assert problems(tmp_path / "empty", tmp_path / "out") == (f"{tmp_path}/empty holds no images ({kinds})",)
    assert problems(text, tmp_path / "out") == (f"{text} is none of: a folder, a tar, a .jsonl",)
    assert problems(none, tmp_path / "out") == (f"{none} is none of: a folder, a tar, a .jsonl",)


def test_shards_that_are_there_are_not_written_over(folder: Path, tmp_path: Path) -> None:
    ingest(folder, tmp_path / "out")
    before = (tmp_path / "out/shard-00000.parquet").read_bytes()
    assert problems(folder, tmp_path / "out") == (f"{tmp_path}/out holds Parquet files already; name another folder",)
    assert (tmp_path / "out/shard-00000.parquet").read_bytes() == before


def test_odd_names_in_a_tar_and_a_jsonl_do_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        for name in (os.fsdecode(b"caf\xe9.png"), "../up.png", "b.png"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    made = ingest(tmp_path / "in.tar", tmp_path / "out")
    assert made == Ingested(rows=3, shards=1, skipped=())
    assert sorted(name for name, _ in rows(tmp_path / "out")) == ["../up.png", "b.png", "caf\\xe9.png"]
    nested = "[" * 100_000
    (folder / "in.jsonl").write_text(f'{GOOD}\n{{"image": "b.PNG", "id": "\\ud800"}}\n{nested}\n')
    made = ingest(folder / "in.jsonl", tmp_path / "out2")
    assert (made.rows, [text.partition(":")[0] for text in made.skipped]) == (
        1,
        ["in.jsonl, line 2", "in.jsonl, line 3"],
    )
