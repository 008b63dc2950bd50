"""An admitted image: decoded for engines, as bytes for servers, and as a thumbnail for pages."""

import io
from functools import lru_cache

import PIL.Image

from oasis_ray.input.decoding import open_image, plain, upright
from oasis_ray.types import Image

SMALL_PX = 512  # drawings and icons are this small, and lose by compression


@lru_cache(maxsize=16)  # the nodes of a row ask for the same picture one after the other
def decode(image: Image) -> PIL.Image.Image:
    """An admitted image as an upright RGB picture."""
    return upright(open_image(image.data))


def portable(image: Image) -> tuple[bytes, str]:
    """An admitted image as bytes that any server shows alike, and their media type.

    Plain RGB JPEG, PNG and WebP go as they are; anything else as an upright RGB PNG.
    """
    picture = open_image(image.data)
    single = picture.mode == "RGB" and getattr(picture, "n_frames", 1) == 1
    if single and plain(picture) and picture.format in ("JPEG", "PNG", "WEBP"):
        return image.data, PIL.Image.MIME[picture.format]
    buffer = io.BytesIO()
    decode(image).save(buffer, "PNG")
    return buffer.getvalue(), "image/png"


def thumbnail(image: Image, side_px: int) -> bytes:
    """An admitted image for a page, drawn anew as WebP: upright, its longer side at most `side_px`, no metadata."""
    picture = upright(open_image(image.data))
    picture.thumbnail((side_px, side_px))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=90, lossless=max(picture.size) <= SMALL_PX)
    return buffer.getvalue()
