"""Pictures of an export: named by what they hold, never by a path that came with the data."""

import re
from hashlib import sha256
from pathlib import Path

import PIL.Image

from oasis_ray.errors import RunError
from oasis_ray.input.decoding import open_image
from oasis_ray.storage import leads_out

SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tiff"}
DRIVE = re.compile(r"[A-Za-z]:")  # a path that begins so leads elsewhere on Windows, where an export may be read


def name_of(data: bytes) -> str:
    """A picture's place below the export: `images/ab/abcd….png`, by its SHA-256 and its real format.

    Raises RunError for bytes that are no picture, which no admitted row holds.
    """
    try:
        kind = str(open_image(data, [name for name in SUFFIXES if name != "MPO"]).format)
    except (PIL.UnidentifiedImageError, OSError) as error:
        raise RunError(
            f"a part holds an image that can't be read ({error}); has the run folder been changed?"
        ) from None
    digest = sha256(data).hexdigest()
    return f"images/{digest[:2]}/{digest}.{SUFFIXES[kind]}"


def place(folder: Path, data: bytes) -> str:
    """Write a picture once, as its own bytes; its name below the folder."""
    name = name_of(data)
    path = folder / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return name


def reference(path: str | None, digest: str) -> str:
    """How a picture that is not exported is named: by the path that the input gave, if it stays below its folder."""
    return digest if not path or leads_out(path) or DRIVE.match(path) else path
