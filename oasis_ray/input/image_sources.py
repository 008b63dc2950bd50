"""Image sources of `ingest`: a folder and a tar. Skipped files are counted by reason and listed.

A file is ingested if its first bytes or its suffix are those of an image. Broken images are reported later, row by row,
by the run.
"""

import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import PIL.Image

from oasis_ray.errors import JobError
from oasis_ray.input.image_admission import LFS
from oasis_ray.input.image_fetch import leads_into
from oasis_ray.job.limits import Limits

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
FORMATS = Limits().formats
MAX_BYTES = 1 << 30
NAMED = 1_000_000  # maximum skipped files that are listed; more are only counted

HIDDEN = "hidden"
ALLOW = "--root DIR allows links into DIR"
LINK_OUT = f"a link that leads out ({ALLOW})"
POINTER = "a Git LFS pointer instead of the file (run git lfs pull, or hf download)"
NO_IMAGE = "not an image"
OTHER_FORMAT = f"an image of another format than {', '.join(FORMATS)}"
TOO_LARGE = f"more than {MAX_BYTES} bytes"
DEAD_LINK = "a broken link"
NO_FILE = "not a file (a pipe, a socket, a device)"
LEADS_OUT = f"a path or a link that leads out of the folder of the list ({ALLOW})"
NO_SUCH_FILE = "no such file"
LINK = "a link inside an archive"
BEHIND = "data after the end of the archive (ingest concatenated archives one by one)"

Image = tuple[str, bytes]


@dataclass
class PassedOver:
    """Skipped files and records: counts by reason, and names. `notes`: what is not kept as it was of the others."""

    reasons: Counter[str] = field(default_factory=Counter)
    names: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, reason: str, detail: str = "") -> None:
        """Record one skipped file or record."""
        self.reasons[reason] += 1
        if len(self.names) < NAMED:
            self.names.append((name, f"{reason}: {detail}" if detail else reason))


def from_folder(source: Path, roots: Sequence[str], passed: PassedOver) -> Iterator[Image]:
    """Yield the images below a folder, sorted by name. Links are followed within the folder and `roots`."""
    allowed, seen = [str(source), *roots], {os.path.realpath(source)}

    def walk(folder: Path) -> Iterator[Path]:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
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
    """Yield the images in a tar, compressed or not. Links in it are not followed."""
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
            _check_end(source, tar, passed)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise JobError([f"{source} can't be read to the end: {error}"]) from None


def hidden(*parts: str) -> bool:
    """Whether a name or one of its folders is hidden: `.DS_Store`, `._a.jpg`, `__MACOSX`."""
    return any((part.startswith(".") and part not in (".", "..")) or part == "__MACOSX" for part in parts)


def text_of(name: str) -> str:
    r"""Return a name as valid UTF-8 text: other bytes become \x... Raises ValueError for lone surrogates."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _taken(name: str, size: int, stream: Any, passed: PassedOver) -> bytes | None:
    """Return the bytes of a file that is an image by content or suffix, or None if it is skipped."""
    head = stream.read(64)
    kind = kind_of(head)
    if head.startswith(LFS):
        passed.add(name, POINTER)
    elif kind is None and Path(name).suffix.lower() not in SUFFIXES:
        passed.add(name, NO_IMAGE)
    elif kind is not None and kind not in FORMATS:
        passed.add(name, OTHER_FORMAT, kind)
    elif size > MAX_BYTES:
        passed.add(name, TOO_LARGE, f"{size}")
    else:
        return bytes(head + stream.read())
    return None


def kind_of(head: bytes) -> str | None:
    """Return the image format (Pillow's name) of a file's first bytes, or None."""
    PIL.Image.init()
    for name in (*FORMATS, *(other for other in ("AVIF", "JPEG2000", "ICO", "PSD") if other in PIL.Image.OPEN)):
        accept = PIL.Image.OPEN[name][1]
        if accept is not None and accept(head[:32]) is True:
            return name
    return "HEIC" if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"hevc") else None


def _check_end(source: Path, tar: tarfile.TarFile, passed: PassedOver) -> None:
    """Report data after the end of a tar, where tarfile stops, and a missing end."""
    fileobj: Any = tar.fileobj
    fileobj.seek(tar.offset)
    ended, rest = False, 0
    while block := fileobj.read(1 << 20):
        ended = True
        rest += len(block) if block.strip(b"\0") else 0
    if rest:
        passed.add(source.name, BEHIND)
    elif not ended:
        passed.add(source.name, "an archive without an end marker: it may be truncated")
