"""Images referenced by path: no path leads out of the root, and a path to no file fails only its row."""

import os
import socket
from pathlib import Path

import fsspec
import pytest

from oasis_ray.errors import RowError
from oasis_ray.input.image_fetch import ALLOW, fetch


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of images with a secret beside it, and links to both."""
    inside = tmp_path / "images"
    (inside / "sub").mkdir(parents=True)
    (inside / "a.png").write_bytes(b"picture a")
    (inside / "sub/b..png").write_bytes(b"picture b")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "images2").mkdir()
    (tmp_path / "images2/c.png").write_bytes(b"a neighbour")
    for name, target in {
        "in.png": "a.png",
        "out.png": tmp_path / "secret.png",
        "up": tmp_path,
        "beside": tmp_path / "images2",
        "loop.png": "loop.png",
        "dead.png": "none.png",
    }.items():
        (inside / name).symlink_to(target)
    return inside


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a.png", b"picture a"), ("./a.png", b"picture a"), ("sub/b..png", b"picture b"), ("in.png", b"picture a")],
)
def test_an_image_below_the_root_is_read(path: str, expected: bytes, root: Path) -> None:
    assert fetch(str(root), path, 100) == expected


def test_at_most_one_byte_beyond_the_limit_is_read(root: Path) -> None:
    assert fetch(str(root), "a.png", 3) == b"pict"


@pytest.mark.parametrize(
    "path",
    ["../secret.png", "sub/../../secret.png", "sub/..", "..", "/etc/passwd", "file:///etc/passwd", "http://host/a.png",
     "s3://bucket/a.png", "..\\secret.png", "a.png\0", "C:\\a.png"],
)  # fmt: skip
def test_a_path_that_may_lead_out_is_refused(path: str, root: Path) -> None:
    with pytest.raises(RowError) as error:
        fetch(str(root), path, 100)
    assert error.value.args == ("image_path", f"{path!r} is not a path below input.root")


@pytest.mark.parametrize("path", ["out.png", "up/secret.png", "beside/c.png"])
def test_a_link_that_leads_out_is_refused(path: str, root: Path) -> None:
    with pytest.raises(RowError) as error:
        fetch(str(root), path, 100)
    assert error.value.args == ("image_path", f"{path!r} is a link that leads out of input.root ({ALLOW})")


@pytest.mark.parametrize(
    "path",
    ["none.png", "sub", "sub/", "a.png/b.png", "dead.png", pytest.param("x" * 300 + ".png", id="long"), "loop.png"],
)
def test_a_path_that_leads_nowhere_fails_the_row(path: str, root: Path) -> None:
    with pytest.raises(RowError) as error:
        fetch(str(root), path, 100)
    assert error.value.args == ("image_missing", f"there is no file {path!r} below input.root")


def test_the_root_may_be_a_link_a_url_or_relative(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGES", str(root))
    for given in ("images", "images/", f"file://{root}", str(tmp_path / "link"), "$IMAGES"):
        assert fetch(given, "a.png", 100) == b"picture a"


def test_the_root_may_be_the_root_of_the_disk(root: Path) -> None:
    assert fetch("/", str(root / "a.png").lstrip("/"), 100) == b"picture a"


def test_images_are_read_from_any_file_system() -> None:
    with fsspec.open("memory://test_fetch/a.png", "wb") as stream:
        stream.write(b"picture a")
    assert fetch("memory://test_fetch", "a.png", 100) == b"picture a"
    with pytest.raises(RowError) as error:
        fetch("memory://test_fetch", "b.png", 100)
    assert error.value.args == ("image_missing", "there is no file 'b.png' below input.root")


@pytest.mark.timeout(20)
def test_a_pipe_or_a_socket_is_no_image_file(root: Path) -> None:
    os.mkfifo(root / "pipe.png")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(root / "s.png"))
        for path in ("pipe.png", "s.png"):
            with pytest.raises(RowError) as error:
                fetch(str(root), path, 100)
            assert error.value.args == ("image_missing", f"there is no file {path!r} below input.root")
