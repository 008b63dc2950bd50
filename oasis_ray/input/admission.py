"""Admission: checks the image of a row before any model sees it, and says what is wrong with it.

An image is decoded whole once, so that a truncated one is found here and not in an engine. Modes that models do not
take (CMYK, palette, 16 bit, transparency) and EXIF rotations are no fault: `image.decode` gives an upright RGB image.
"""

from hashlib import sha256

import PIL.Image

from oasis_ray.errors import RowError
from oasis_ray.input.decoding import open_image, upright
from oasis_ray.job.limits import Limits
from oasis_ray.types import Image

TEXT_BYTES = 200  # a path, or the message of a server, that was saved as a file
LFS = b"version https://git-lfs.github.com/spec/"  # how a Git LFS pointer begins


def admit(data: bytes | None, limits: Limits) -> Image:
    """The image of a row. Raises RowError with one of the reasons that docs/run-folder.md lists."""
    if not data:
        raise RowError("image_missing", "the row has no image")
    if len(data) > limits.max_bytes:
        raise RowError("image_too_many_bytes", f"{len(data)} bytes, the limit is {limits.max_bytes}")
    try:
        picture = open_image(data, limits.formats)
    except PIL.UnidentifiedImageError:
        if any(_begins_as(data, name) for name in limits.formats):
            raise RowError("image_broken", "it begins as an image and goes on as none") from None
        raise RowError("image_format", f"{_begins(data)}; taken: {', '.join(limits.formats)}") from None
    except Exception as error:  # decoders raise what they like on bytes that lie
        raise _broken(error) from None
    try:
        _check_size(picture, limits)
        upright(picture)
    except RowError:
        raise
    except Exception as error:
        raise _broken(error) from None
    return Image(data, sha256(data).hexdigest())


def _broken(error: Exception) -> RowError:
    reason = "image_truncated" if "truncated" in str(error).lower() else "image_broken"
    return RowError(reason, f"{type(error).__name__}: {error}")


def _begins(data: bytes) -> str:
    """What bytes that are no image begin with, in words where they are a text."""
    if data.startswith(LFS):
        return "it is a Git LFS pointer in place of the image (git lfs pull, or hf download)"
    if len(data) <= TEXT_BYTES and data.isascii() and data.decode().isprintable():
        return f"it is the text {data.decode()!r} in place of an image"
    return f"it begins with {data[:12]!r}"


def _begins_as(data: bytes, name: str) -> bool:
    """Whether the first bytes are those of a format."""
    accept = PIL.Image.OPEN[name][1]
    return accept is not None and accept(data[:16]) is True


def _check_size(picture: PIL.Image.Image, limits: Limits) -> None:
    width, height = picture.size
    short, long = sorted(picture.size)
    if width * height > limits.max_pixels:
        raise RowError("image_too_many_pixels", f"{width} x {height}, the limit is {limits.max_pixels} pixels")
    if short < limits.min_side_px:
        raise RowError("image_too_small", f"{width} x {height}, the shorter side must have {limits.min_side_px} pixels")
    if long > short * limits.max_aspect:
        raise RowError(
            "image_too_long", f"{width} x {height}, the longer side may be {limits.max_aspect:g} times the other"
        )
    if _has_more_frames(picture, limits.max_frames):
        raise RowError("image_animated", f"more frames than the limit of {limits.max_frames}")


def _has_more_frames(picture: PIL.Image.Image, most: int) -> bool:
    """Whether there are more than `most`. The first one stands."""
    if picture.format == "MPO":  # a phone's JPEG that carries a second picture for the camera is no animation
        return False
    if picture.format != "TIFF":
        return bool(getattr(picture, "n_frames", 1) > most)
    try:  # Pillow counts the frames of a TIFF in a time that grows with their square: hours for one of 50 MB
        picture.seek(most)
    except EOFError:
        return False
    finally:
        picture.seek(0)
    return True
