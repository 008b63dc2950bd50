"""Images of records: the path that a record gives for its image, and the bytes of that file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oasis_ray.errors import RowError
from oasis_ray.input.image_fetch import fetch
from oasis_ray.input.image_sources import ALLOW, LEADS_OUT, MAX_BYTES, NO_SUCH_FILE
from oasis_ray.input.record_lists import NO_RECORD, Record, RecordError

KEYS = ("image", "images", "image_path", "img_path", "file_path")  # the first that a record has holds its image
SEVERAL = "several images in one record"
NO_PATH = "an image that is a URL or data (save it as a file, and give its path relative to the list)"
SHOWN = 100  # characters of a path in a message: it may be an image in base64


def image_keys(record: Record) -> list[str]:
    """Return the keys of a record that give an image, in the order of `KEYS`. Null and [] are no image."""
    return [key for key in KEYS if record.get(key) not in (None, [])]


def image_path(record: Record, shown: Sequence[Any] = ()) -> str | None:
    """Return the path of a record's image, None if it has no image. `shown` are the images in its conversations.

    Raises RecordError if there are several images, or if the image is not a path.
    """
    paths = list[Any]()
    for key in image_keys(record)[:1]:
        paths.extend(record[key] if isinstance(record[key], list) else [record[key]])
    for image in shown:
        if image not in paths:
            paths.append(image)
    if not paths:
        return None
    if len(paths) > 1:
        raise RecordError(SEVERAL, "write one record per image")
    (path,) = paths
    if not isinstance(path, str):
        raise RecordError(NO_RECORD, "its image is not a string")
    if "://" in path or path.startswith("data:"):
        raise RecordError(NO_PATH, f"{path[:SHOWN]!r}")
    return path


def image_bytes(source: Path, path: str, roots: Sequence[str]) -> bytes:
    """Read an image by its path relative to the folder of a list. Raises RecordError if there is no such file."""
    folder = str(source.parent)
    try:
        return fetch(folder, path, MAX_BYTES, roots, root_is="the folder of the list", allow=ALLOW)
    except RowError as error:
        reason = LEADS_OUT if error.reason == "image_path" else NO_SUCH_FILE
        raise RecordError(reason, f"{path[:SHOWN]!r}") from None
