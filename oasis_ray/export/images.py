"""Images of an export: named by their content, never by a path that came with the data."""

import re
from hashlib import sha256
from pathlib import Path

import PIL.Image

from oasis_ray.errors import RunError
from oasis_ray.input.image_decoding import open_image
from oasis_ray.storage import leads_out

SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tiff"}
DRIVE = re.compile(r"[A-Za-z]:")  # such a path leads elsewhere on Windows, where an export may be read


def name_of(data: bytes) -> str:
    """Return an image's path below the export: `images/ab/abcd….png`, from its SHA-256 and its actual format.

    Raises RunError for bytes that are no image, which no admitted row has.
    """
    try:
        kind = str(open_image(data, [name for name in SUFFIXES if name != "MPO"]).format)
    except (PIL.UnidentifiedImageError, OSError) as error:
        raise RunError(
            f"a part holds an image that can't be read ({error}); has the run folder been changed?"
        ) from None
    digest = sha256(data).hexdigest()
    return f"images/{digest[:2]}/{digest}.{SUFFIXES[kind]}"


def store_image(folder: Path, data: bytes) -> str:
    """Write an image unless it is there already, and return its path below the folder."""
    name = name_of(data)
    path = folder / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return name


def reference(path: str | None, digest: str) -> str:
    """Return the name of an image that is not exported: its path in the input if that stays below the input's folder,
    else its SHA-256.
    """
    return digest if not path or leads_out(path) or DRIVE.match(path) else path
