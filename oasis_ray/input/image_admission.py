"""Admission: checks the image of a row before any model sees it.

Each image is fully decoded once, so that a truncated one is found here and not in an engine. Modes that models do not
accept (CMYK, palette, 16 bit, transparency) and EXIF rotations are valid: `image_renditions.decode` returns an upright
RGB image.
"""

from hashlib import sha256

import PIL.Image

from oasis_ray.errors import RowError
from oasis_ray.input.image_decoding import open_image, upright
from oasis_ray.job.limits import Limits
from oasis_ray.types import Image

TEXT_BYTES = 200  # maximum length of a path or an error page that was saved as an image file
LFS = b"version https://git-lfs.github.com/spec/"  # first bytes of a Git LFS pointer


def admit(data: bytes | None, limits: Limits) -> Image:
    """Return the image of a row. Raises RowError with one of the reasons in docs/run-folder.md."""
    if not data:
        raise RowError("image_missing", "the row has no image")
    if len(data) > limits.max_bytes:
        raise RowError("image_too_many_bytes", f"{len(data)} bytes, the limit is {limits.max_bytes}")
    try:
        image = open_image(data, limits.formats)
    except PIL.UnidentifiedImageError:
        if any(_has_magic_of(data, name) for name in limits.formats):
            raise RowError("image_broken", "it has an image header, but the rest can't be decoded") from None
        raise RowError("image_format", f"{_beginning(data)}; accepted: {', '.join(limits.formats)}") from None
    except Exception as error:  # decoders raise arbitrary exceptions on corrupt data
        raise _broken(error) from None
    try:
        _check_size(image, limits)
        upright(image)
    except RowError:
        raise
    except Exception as error:
        raise _broken(error) from None
    return Image(data, sha256(data).hexdigest())


def _broken(error: Exception) -> RowError:
    reason = "image_truncated" if "truncated" in str(error).lower() else "image_broken"
    return RowError(reason, f"{type(error).__name__}: {error}")


def _beginning(data: bytes) -> str:
    """Describe the beginning of data that is no image."""
    if data.startswith(LFS):
        return "it is a Git LFS pointer instead of the image (run git lfs pull, or hf download)"
    if len(data) <= TEXT_BYTES and data.isascii() and data.decode().isprintable():
        return f"it is the text {data.decode()!r} instead of an image"
    return f"it begins with {data[:12]!r}"


def _has_magic_of(data: bytes, name: str) -> bool:
    """Whether the first bytes are the magic number of a format."""
    accept = PIL.Image.OPEN[name][1]
    return accept is not None and accept(data[:16]) is True


def _check_size(image: PIL.Image.Image, limits: Limits) -> None:
    width, height = image.size
    short, long = sorted(image.size)
    if width * height > limits.max_pixels:
        raise RowError("image_too_many_pixels", f"{width} x {height}, the limit is {limits.max_pixels} pixels")
    if short < limits.min_side_px:
        raise RowError(
            "image_too_small", f"{width} x {height}, the shorter side must have at least {limits.min_side_px} pixels"
        )
    if long > short * limits.max_aspect:
        raise RowError(
            "image_too_long",
            f"{width} x {height}, the longer side may be at most {limits.max_aspect:g} times the shorter",
        )
    if _has_more_frames(image, limits.max_frames):
        raise RowError("image_animated", f"more frames than the limit of {limits.max_frames}")


def _has_more_frames(image: PIL.Image.Image, most: int) -> bool:
    """Whether an image has more than `most` frames. Leaves it at the first frame."""
    if image.format == "MPO":  # a phone's JPEG with a second image for the camera is no animation
        return False
    if image.format != "TIFF":
        return bool(getattr(image, "n_frames", 1) > most)
    try:  # Pillow counts the frames of a TIFF in quadratic time: hours for 50 MB
        image.seek(most)
    except EOFError:
        return False
    finally:
        image.seek(0)
    return True
