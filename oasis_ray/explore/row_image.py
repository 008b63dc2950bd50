"""Image of a row, safe to show: from its part, else from the input; checked against limits and re-encoded.

Parts seldom keep the images of rejected and failed rows. If the input is still on this machine, the image is read from
there, and shown only if it has the SHA-256 of the row: the input may have changed, and the manifest may be wrong.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from hashlib import sha256
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from oasis_ray.errors import JobError, RowError
from oasis_ray.input.image_admission import admit
from oasis_ray.input.image_fetch import fetch
from oasis_ray.input.image_renditions import thumbnail
from oasis_ray.input.listing import list_files
from oasis_ray.input.reader import read
from oasis_ray.input.shards import RowGroup
from oasis_ray.job.input import Input
from oasis_ray.job.limits import Limits
from oasis_ray.output.manifest import naming_of

SIDE_PX = 1024
LIMITS = Limits(max_frames=1000)  # of an animation that failed for its frames, the first frame is shown


class RowImages:
    """Images of the rows of the run with this manifest."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._given: Input | None = None
        self._naming = naming_of(manifest)
        with suppress(ValidationError, KeyError):
            self._given = Input.model_validate(manifest["job"]["input"])

    def show(self, row: Mapping[str, Any], side_px: int = SIDE_PX) -> bytes | None:
        """Return the image of a row (`image`, `image_sha256`, `source`) as WebP, None if there is none.

        Raises RowError if the bytes are not an image, or exceed the limits.
        """
        data = (row.get("image") or {}).get("bytes") or self._from_input(row)
        return thumbnail(admit(data, LIMITS), side_px) if data and isinstance(data, bytes) else None

    @cached_property
    def _files(self) -> dict[str, str]:
        """Shards of an input on this machine, by the name that rows use for them."""
        if self._given is None or "://" in self._given.path:
            return {}
        listing = list_files(self._given.path, self._naming)
        return {name: file for file, name in listing.names.items()}

    def _from_input(self, row: Mapping[str, Any]) -> bytes | None:
        address, digest, given = row.get("source") or {}, row.get("image_sha256"), self._given
        if not digest or given is None or given.image is None or "://" in (given.root or ""):
            return None
        try:
            # A name from a row is only looked up among the files of the input, never opened as a path.
            file, group, place = self._files[address["file"]], address["row_group"], address["row"]
            ids = pa.nulls(place + 1, pa.string())
            batches = read(RowGroup(file, "", group, ids, pa.array([place], pa.int64())), given, 8)
            image = next(batches)["image"][0].as_py() or {}
            data = image.get("bytes")
            if data is None and image.get("path") and given.root is not None:
                data = fetch(given.root, image["path"], LIMITS.max_bytes, given.links)
        except (JobError, RowError, LookupError, TypeError, StopIteration, OSError, pa.ArrowException):
            return None  # the input is gone or has changed: no image
        return data if data and sha256(data).hexdigest() == digest else None
