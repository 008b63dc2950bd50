"""Conversions of an admitted image: decoded for engines, encoded for servers, and as a thumbnail for pages."""

import io
from functools import lru_cache

import PIL.Image

from oasis_ray.input.image_decoding import open_image, plain, upright
from oasis_ray.types import Image

SMALL_PX = 512  # up to this size (drawings, icons) lossless compression, since artifacts would show


@lru_cache(maxsize=16)  # consecutive nodes of a row need the same image
def decode(image: Image) -> PIL.Image.Image:
    """Decode an admitted image, upright and RGB."""
    return upright(open_image(image.data))


def portable(image: Image) -> tuple[bytes, str]:
    """Return an admitted image as bytes that all servers decode to the same pixels, and their media type.

    Plain RGB JPEG, PNG and WebP are returned unchanged; anything else as an upright RGB PNG.
    """
    decoded = open_image(image.data)
    single = decoded.mode == "RGB" and getattr(decoded, "n_frames", 1) == 1
    if single and plain(decoded) and decoded.format in ("JPEG", "PNG", "WEBP"):
        return image.data, PIL.Image.MIME[decoded.format]
    buffer = io.BytesIO()
    decode(image).save(buffer, "PNG")
    return buffer.getvalue(), "image/png"


def thumbnail(image: Image, side_px: int) -> bytes:
    """Return a WebP thumbnail of an admitted image: upright, longer side at most `side_px`, without metadata."""
    decoded = upright(open_image(image.data))
    decoded.thumbnail((side_px, side_px))
    buffer = io.BytesIO()
    decoded.save(buffer, "WEBP", quality=90, lossless=max(decoded.size) <= SMALL_PX)
    return buffer.getvalue()
