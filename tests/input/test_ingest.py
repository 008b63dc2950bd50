"""Ingest from a folder or a tar: images are written, other files are counted by reason and listed."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from oasis_ray.errors import JobError
from oasis_ray.input.columns import IMAGE
from oasis_ray.input.image_sources import (
    BEHIND,
    DEAD_LINK,
    HIDDEN,
    LINK,
    LINK_OUT,
    NO_FILE,
    NO_IMAGE,
    OTHER_FORMAT,
    POINTER,
)
from oasis_ray.input.ingest import PASSED_OVER, Ingested, ingest
from oasis_ray.input.shards import open_shards
from oasis_ray.job.input import Input
from tests.support.command import call
from tests.support.shards import picture

JPEG = picture(kind="JPEG")
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


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
    """Return id and bytes of all rows; the path of an image is its id."""
    found = [row for file in sorted(out.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
    assert all(row["image"]["path"] == row["id"] for row in found)
    return [(row["id"], row["image"]["bytes"]) for row in found]


def problems(source: Path, out: Path) -> tuple[str, ...]:
    with pytest.raises(JobError) as error:
        ingest(source, out)
    return error.value.problems


def test_a_folder_is_ingested_with_its_subfolders(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert ingest(folder, out) == Ingested(2, 1, {NO_IMAGE: 1}, (("notes.txt", NO_IMAGE),))
    assert rows(out) == [("b.PNG", b"bb"), ("sub/a.jpg", b"a")]
    assert pq.read_schema(out / "shard-00000.parquet").field("image").type == IMAGE


def test_a_shard_has_n_rows_and_a_run_can_read_it(folder: Path, tmp_path: Path) -> None:
    made = ingest(folder, tmp_path / "out", rows_per_shard=1)
    assert (made.rows, made.shards) == (2, 2)
    assert open_shards(Input(path=str(tmp_path / "out"), id="id")).rows == 2


def fill(put: Callable[[str, bytes], None]) -> None:
    """Everything that folders and archives of images have been seen to contain."""
    for name in ("a.jpg", "b.jfif", "c.jpe", "d.jpg_large", "000000123", "sub/e.txt"):
        put(name, JPEG)
    put("broken.png", b"not much")
    put("f.avif", b"\0\0\0\x1cftypavif" + bytes(40))
    put("g.HEIC", b"\0\0\0\x18ftypheic" + bytes(40))
    put("notes.txt", b"words")
    put("empty", b"")
    put("x.jpg", LFS)
    for name in (".DS_Store", "._a.jpg", "__MACOSX/._a.jpg", ".ipynb_checkpoints/a-checkpoint.jpg"):
        put(name, JPEG)


TAKEN = ["000000123", "a.jpg", "b.jfif", "broken.png", "c.jpe", "d.jpg_large", "sub/e.txt"]


def test_a_folder_is_ingested_by_content_and_skipped_files_are_listed(tmp_path: Path) -> None:
    def put(name: str, data: bytes) -> None:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    fill(put)
    made = ingest(tmp_path / "in", tmp_path / "out")
    assert [name for name, _ in rows(tmp_path / "out")] == TAKEN
    # A hidden folder is skipped as a whole, and so is `__MACOSX`.
    assert made.passed_over == {HIDDEN: 4, OTHER_FORMAT: 2, NO_IMAGE: 2, POINTER: 1}
    lines = [json.loads(line) for line in (tmp_path / "out" / PASSED_OVER).read_text().splitlines()]
    assert {line["name"]: line["reason"] for line in lines} == dict(made.names)
    assert dict(made.names)["g.HEIC"] == f"{OTHER_FORMAT}: HEIC"
    assert {name for name, _ in made.names} == {
        ".DS_Store", "._a.jpg", "__MACOSX", ".ipynb_checkpoints", "f.avif", "g.HEIC", "notes.txt", "empty", "x.jpg",
    }  # fmt: skip


def test_a_tar_is_ingested_by_content_too(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "in.tar", "w") as file:

        def put(name: str, data: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))

        fill(put)
    made = ingest(tmp_path / "in.tar", tmp_path / "out")
    assert sorted(name for name, _ in rows(tmp_path / "out")) == TAKEN
    assert made.passed_over == {HIDDEN: 4, OTHER_FORMAT: 2, NO_IMAGE: 2, POINTER: 1}


def test_a_folder_without_images_lists_what_was_skipped(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/x.jpg").write_bytes(LFS)
    assert problems(tmp_path / "in", tmp_path / "out") == (
        f"{tmp_path}/in contains no images", f"x.jpg: {POINTER}",
    )  # fmt: skip
    assert not (tmp_path / "out").exists()


def linked(tmp_path: Path) -> Path:
    """A folder as for LLaVA: links to data sets, one into the folder, one in a loop, one to a file outside."""
    for name in ("real/x.jpg", "data/own/y.jpg", "secret/passwd.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(JPEG)
    for name, target in (("coco", tmp_path / "real"), ("loop", "."), ("same", "own"), ("dead.jpg", "none.jpg"),
                         ("p.jpg", tmp_path / "secret/passwd.jpg"), ("in.jpg", "own/y.jpg")):  # fmt: skip
        (tmp_path / "data" / name).symlink_to(target)
    return tmp_path / "data"


def test_links_are_followed_inside_the_folder_and_the_roots_that_are_named(tmp_path: Path) -> None:
    data = linked(tmp_path)
    made = ingest(data, tmp_path / "out")
    assert [name for name, _ in rows(tmp_path / "out")] == ["in.jpg", "own/y.jpg"]
    assert dict(made.names) == {"coco": LINK_OUT, "p.jpg": LINK_OUT, "dead.jpg": DEAD_LINK}
    allowed = ingest(data, tmp_path / "out2", roots=[str(tmp_path / "real")])
    assert [name for name, _ in rows(tmp_path / "out2")] == ["coco/x.jpg", "in.jpg", "own/y.jpg"]
    assert dict(allowed.names) == {"p.jpg": LINK_OUT, "dead.jpg": DEAD_LINK}


def test_the_cache_of_the_hub_is_ingested_with_its_root(tmp_path: Path) -> None:
    cache = tmp_path / "datasets--a--b"
    (cache / "blobs").mkdir(parents=True)
    (cache / "blobs/0123abcd").write_bytes(JPEG)
    snapshot = cache / "snapshots/rev1"
    (snapshot / "images").mkdir(parents=True)
    (snapshot / "images/x.jpg").symlink_to("../../../blobs/0123abcd")
    (snapshot / "list.jsonl").write_text('{"image": "images/x.jpg"}\n')
    (snapshot / "list.json").write_text('[{"image": "images/x.jpg"}]')
    for number, source in enumerate((snapshot, snapshot / "list.jsonl", snapshot / "list.json")):
        out = tmp_path / f"out{number}"
        with pytest.raises(JobError, match="a link that leads out"):
            ingest(source, out)
        assert ingest(source, out, roots=[str(cache)]).rows == 1


def test_a_name_that_is_no_utf8_does_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(b"c")
    made = ingest(folder, tmp_path / "out")
    assert (made.rows, rows(tmp_path / "out")[1]) == (3, ("caf\\xe9.png", b"c"))


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
    made = ingest(tar(tmp_path / name, mode), tmp_path / "out")
    # A hard link in a tar is read as its target, whose bytes are in the archive.
    assert dict(made.names) == {"notes.txt": NO_IMAGE, "link.png": LINK, "hard.png": LINK, "pipe.png": NO_FILE}
    assert rows(tmp_path / "out") == [("x/a.png", b"a"), ("b.JPG", b"b" * 30000)]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_data_after_the_end_of_an_archive_is_reported(mode: str, tmp_path: Path) -> None:
    one, other = tar(tmp_path / "1.tar", mode), tar(tmp_path / "2.tar", mode)
    (tmp_path / "both.tar").write_bytes(one.read_bytes() + other.read_bytes())
    made = ingest(tmp_path / "both.tar", tmp_path / "out")
    assert made.passed_over.get(BEHIND) == 1
    assert made.rows == 2


def test_an_archive_without_an_end_is_reported(tmp_path: Path) -> None:
    whole = tar(tmp_path / "a.tar", "w").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as file:
        end = file.getmembers()[0].offset_data + 512
    (tmp_path / "cut.tar").write_bytes(whole[:end])
    made = ingest(tmp_path / "cut.tar", tmp_path / "out")
    assert (made.rows, dict(made.names)) == (
        1, {"cut.tar": "an archive without an end marker: it may be truncated"},
    )  # fmt: skip


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz")])
def test_a_tar_that_is_cut_off_is_a_problem(name: str, mode: str, tmp_path: Path) -> None:
    path = tar(tmp_path / name, mode)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (problem,) = problems(path, tmp_path / "out")
    assert str(path) in problem


def test_the_command_counts_by_reason_and_names_the_first_few(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(JPEG)
    for number in range(14):
        (tmp_path / f"in/n{number:02d}.txt").write_text("words")
    done = call("ingest", tmp_path / "in", tmp_path / "out")
    assert done.stdout == f"1 image in 1 shard at {tmp_path}/out\npassed over: 14 {NO_IMAGE}\n"
    assert done.stderr.splitlines() == [
        *(f"passed over n{number:02d}.txt: {NO_IMAGE}" for number in range(10)),
        f"… and 4 more: {tmp_path}/out/{PASSED_OVER} lists all of them",
    ]


def test_an_invalid_source_is_a_problem(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    none, text = tmp_path / "none.jsonl", folder / "notes.txt"
    assert problems(tmp_path / "empty", tmp_path / "out") == (f"{tmp_path}/empty contains no images",)
    assert problems(text, tmp_path / "out") == (f"{text} is not a folder, a tar, a .jsonl or a .json",)
    assert problems(none, tmp_path / "out") == (f"{none} is not a folder, a tar, a .jsonl or a .json",)


def test_existing_shards_are_not_overwritten(folder: Path, tmp_path: Path) -> None:
    ingest(folder, tmp_path / "out")
    before = (tmp_path / "out/shard-00000.parquet").read_bytes()
    assert problems(folder, tmp_path / "out") == (
        f"{tmp_path}/out already contains Parquet files; name another folder",
    )
    assert (tmp_path / "out/shard-00000.parquet").read_bytes() == before


def test_odd_names_in_a_tar_do_not_stop_the_others(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        for name in (os.fsdecode(b"caf\xe9.png"), "../up.png", "b.png"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    made = ingest(tmp_path / "in.tar", tmp_path / "out")
    assert (made.rows, made.names) == (3, ())
    assert sorted(name for name, _ in rows(tmp_path / "out")) == ["../up.png", "b.png", "caf\\xe9.png"]
