"""Where `ingest` takes images from: a folder, a tar, a jsonl. What is not taken is counted by reason, and named.

A file is taken if it is an image by its first bytes, or if its name says that it is one: that an image is broken is for
the run to say, row by row.
"""

import json
import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import PIL.Image

from oasis_ray.errors import JobError, RowError
from oasis_ray.input.admission import LFS
from oasis_ray.input.image_file import fetch, leads_into
from oasis_ray.job.limits import Limits
from oasis_ray.text_files import open_text

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
FORMATS = Limits().formats
MAX_BYTES = 1 << 30
NAMED = 1_000_000  # files that are passed over and named; more are only counted

HIDDEN = "hidden"
ALLOW = "--root DIR allows what is below DIR"
LINK_OUT = f"a link that leads out ({ALLOW})"
POINTER = "a Git LFS pointer in place of the file (git lfs pull, or hf download)"
NO_IMAGE = "not an image"
OTHER_FORMAT = f"an image of another format than {', '.join(FORMATS)}"
TOO_LARGE = f"more than {MAX_BYTES} bytes"
DEAD_LINK = "a link to nothing"
NO_FILE = "not a file (a pipe, a socket, a device)"
LEADS_OUT = f"a path or a link that leads out of the list's folder ({ALLOW})"
NO_SUCH_FILE = "a path to no file"
NO_LINE = 'not a line of {"image": "path"}'
LINK = "a link inside an archive"
BEHIND = "bytes behind the archive's end (archives that were joined: `ingest` each)"

Image = tuple[str, bytes]


@dataclass
class PassedOver:
    """What was not taken: how many by reason, and the names."""

    reasons: Counter[str] = field(default_factory=Counter)
    names: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, reason: str, detail: str = "") -> None:
        """Pass over one file or line."""
        self.reasons[reason] += 1
        if len(self.names) < NAMED:
            self.names.append((name, f"{reason}: {detail}" if detail else reason))


def from_folder(source: Path, roots: Sequence[str], passed: PassedOver) -> Iterator[Image]:
    """The images below a folder, by name. Links are followed inside the folder and `roots`, each folder once."""
    allowed, seen = [str(source), *roots], {os.path.realpath(source)}

    def walk(folder: Path) -> Iterator[Path]:
        for entry in sorted(os.scandir(folder), key=lambda one: one.name):
            path = folder / entry.name
            if hidden(entry.name):
                passed.add(name_of(path), HIDDEN)
            elif entry.is_symlink() and not leads_into(str(path), allowed):
                passed.add(name_of(path), LINK_OUT)
            elif entry.is_dir():
                if (real := os.path.realpath(path)) not in seen:
                    seen.add(real)
                    yield from walk(path)
            else:
                yield path

    def name_of(path: Path) -> str:
        return text_of(path.relative_to(source).as_posix())

    for path in walk(source):
        if not path.is_file():
            passed.add(name_of(path), NO_FILE if path.exists() else DEAD_LINK)
            continue
        with path.open("rb") as stream:
            data = _taken(name_of(path), path.stat().st_size, stream, passed)
        if data is not None:
            yield name_of(path), data


def from_tar(source: Path, passed: PassedOver) -> Iterator[Image]:
    """The images in a tar, packed or not. Links in it are not followed."""
    try:
        with tarfile.open(source) as tar:
            for member in tar:
                name = text_of(member.name)
                if member.isdir():
                    continue
                if hidden(*Path(member.name).parts):
                    passed.add(name, HIDDEN)
                elif (stream := tar.extractfile(member) if member.isfile() else None) is None:
                    passed.add(name, LINK if member.issym() or member.islnk() else NO_FILE)
                elif (data := _taken(name, member.size, stream, passed)) is not None:
                    yield name, data
            _look_behind(source, tar, passed)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise JobError([f"{source} can't be read to its end: {error}"]) from None


def from_lines(source: Path, roots: Sequence[str], passed: PassedOver) -> Iterator[Image]:
    """Lines of {"image": path below the jsonl's folder, "id": optional}."""
    with source.open("rb") as stream:
        for number, line in enumerate(open_text(stream, str(source)), start=1):
            if not line.strip():
                continue
            where = f"{source.name}, line {number}"
            try:
                entry = json.loads(line)
                if not isinstance(entry, dict):
                    raise TypeError("it is no object")
                path, name = entry["image"], entry.get("id")
                if isinstance(path, list) and path:
                    passed.add(where, "several images in one line", "write a line for each")
                    continue
                if not isinstance(path, str):
                    raise TypeError("its image is no text")
                data = fetch(str(source.parent), path, MAX_BYTES, roots, root_is="the list's folder", allow=ALLOW)
                yield text_of(path if name is None else str(name)), data
            except KeyError:
                passed.add(where, NO_LINE, 'it has no "image"')
            except (ValueError, TypeError, RecursionError) as error:
                passed.add(where, NO_LINE, str(error))
            except RowError as error:
                passed.add(where, LEADS_OUT if error.reason == "image_path" else NO_SUCH_FILE, repr(path))


def hidden(*parts: str) -> bool:
    """Whether a name, or a folder of it, is one that people don't see: `.DS_Store`, `._a.jpg`, `__MACOSX`."""
    return any((part.startswith(".") and part not in (".", "..")) or part == "__MACOSX" for part in parts)


def text_of(name: str) -> str:
    r"""A name as text that Parquet holds: bytes that are no UTF-8 become \x... Raises ValueError for no name."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _taken(name: str, size: int, stream: Any, passed: PassedOver) -> bytes | None:
    """The bytes of a file that is an image by what it holds or is called; None where it is passed over."""
    begins = stream.read(64)
    kind = kind_of(begins)
    if begins.startswith(LFS):
        passed.add(name, POINTER)
    elif kind is None and Path(name).suffix.lower() not in SUFFIXES:
        passed.add(name, NO_IMAGE)
    elif kind is not None and kind not in FORMATS:
        passed.add(name, OTHER_FORMAT, kind)
    elif size > MAX_BYTES:
        passed.add(name, TOO_LARGE, f"{size}")
    else:
        return bytes(begins + stream.read())
    return None


def kind_of(begins: bytes) -> str | None:
    """The image format that a file's first bytes are of, in Pillow's words; None where they are of none."""
    PIL.Image.init()
    for name in (*FORMATS, *(other for other in ("AVIF", "JPEG2000", "ICO", "PSD") if other in PIL.Image.OPEN)):
        accept = PIL.Image.OPEN[name][1]
        if accept is not None and accept(begins[:32]) is True:
            return name
    return "HEIC" if begins[4:8] == b"ftyp" and begins[8:12] in (b"heic", b"heix", b"mif1", b"hevc") else None


def _look_behind(source: Path, tar: tarfile.TarFile, passed: PassedOver) -> None:
    """Say what a tar has behind its end: tarfile stops at the first one."""
    fileobj: Any = tar.fileobj
    fileobj.seek(tar.offset)
    ended, rest = False, 0
    while block := fileobj.read(1 << 20):
        ended = True
        rest += len(block) if block.strip(b"\0") else 0
    if rest:
        passed.add(source.name, BEHIND)
    elif not ended:
        passed.add(source.name, "an archive without an end: it may have been cut off")
