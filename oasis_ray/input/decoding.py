"""The raster: an encoded image as a person sees it. Upright, on white where it is transparent, 8-bit RGB.

What is not the image costs the image nothing: EXIF that can't be read leaves it as it is, and texts and colour profiles
of a PNG are not read at all.
"""

import io
import warnings
from collections.abc import Iterable
from contextlib import suppress

import numpy as np
import PIL.ExifTags
import PIL.Image

# Pillow warns of, and at twice the number refuses, many pixels; `image.admit` looks at the size before it decodes.
PIL.Image.MAX_IMAGE_PIXELS = None
PNG = b"\x89PNG\r\n\x1a\n"
# Chunks that say nothing of the pixels as they are decoded here. Pillow refuses a whole file for one of them that is
# broken, or that unpacks to more than a megabyte, as those of ComfyUI, Blender and slide scanners do.
UNREAD_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT, 3: PIL.Image.Transpose.ROTATE_180, 4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE, 6: PIL.Image.Transpose.ROTATE_270, 7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}  # fmt: skip  # by EXIF's Orientation (EXIF 2.32, 4.6.4)
ABSURD = 1e30  # beyond it a value of a float image stands for "no data" (GDAL writes the least float)
TAIL, HOT = 0.1, 4  # percent of the pixels, and at least how many, that become white and black: see `spread`
LOOKED_AT = 4_000_000  # pixels at most that the percentiles are taken from


def open_image(data: bytes, formats: Iterable[str] | None = None) -> PIL.Image.Image:
    """Open an encoded image. Raises what Pillow raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PIL.Image.open(io.BytesIO(without_texts(data)), formats=None if formats is None else list(formats))


def without_texts(data: bytes) -> bytes:
    """A PNG without its texts and colour profile; other bytes as they are."""
    if not data.startswith(PNG) or not any(name in data for name in UNREAD_CHUNKS):
        return data
    kept, at = [PNG], len(PNG)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] not in UNREAD_CHUNKS:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def orientation(picture: PIL.Image.Image) -> int:
    """EXIF's Orientation, 1 to 8; 1 (upright) where none can be read."""
    with suppress(Exception):  # what is in there is anybody's, and Pillow raises whatever it meets
        found = picture.getexif().get(PIL.ExifTags.Base.Orientation, 1)
        if found in TURNS:
            return int(found)
    return 1


def plain(picture: PIL.Image.Image) -> bool:
    """Whether `Image.open(…).convert("RGB")`, which is what trainers do, gives what `upright` gives."""
    return orientation(picture) == 1 and not _deep(picture) and not _transparent(picture)


def upright(picture: PIL.Image.Image) -> PIL.Image.Image:
    """The image as a person sees it, in RGB, decoded to its end. Raises ValueError where no pixel holds a number."""
    picture.load()
    if (turn := TURNS.get(orientation(picture))) is not None:
        picture = picture.transpose(turn)
    if _deep(picture):
        # Pillow clips greys of more bits at 255 when it converts; spread the image's own range instead.
        picture = PIL.Image.fromarray(spread(np.array(picture, np.float32)))
    if _transparent(picture):
        picture = picture.convert("RGBA")
        paper = PIL.Image.new("RGBA", picture.size, "white")
        picture = PIL.Image.alpha_composite(paper, picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def spread(grey: np.ndarray) -> np.ndarray:
    """Greys of any range as 0 to 255; pixels without a number (NaN, infinite, "no data") are black.

    The brightest and the darkest tenth of a percent, and at least four pixels of each (up to 5%), are clipped, so that
    single hot pixels don't darken an image. In place where it can be, because the largest image has 350 MB of them.
    """
    absent = ~(np.abs(grey) < ABSURD)  # also true of NaN
    grey[absent] = np.nan
    some = grey.ravel()[:: max(1, grey.size // LOOKED_AT)]
    some = some[np.isfinite(some)]
    if not some.size:
        some = grey[np.isfinite(grey)]
        if not some.size:
            raise ValueError("no pixel holds a number")
    tail = max(TAIL, min(5.0, 100 * HOT / some.size))
    low, high = (float(value) for value in np.percentile(some, (tail, 100 - tail)))
    if low == high:  # nearly all of one tone: what differs from it is what there is to see
        low, high = float(some.min()), float(some.max())
    if low == high:
        low, high = 0.0, 65535.0
    grey -= low
    grey *= 255 / (high - low)
    np.nan_to_num(grey, copy=False, nan=0.0)
    return grey.clip(0, 255, out=grey).round(out=grey).astype(np.uint8)


def as_seen(data: bytes) -> tuple[bytes, bool]:
    """An admitted image as bytes that every trainer opens as the judges saw it, and whether that took writing it anew.

    Bytes that already are so are returned as they are. A JPEG that is turned is written as a JPEG of high quality, all
    else as a PNG.
    """
    picture = open_image(data)
    kind, same = picture.format, plain(picture)
    if same and _opens(data):
        return data, False
    if same:
        return without_texts(data), True
    buffer = io.BytesIO()
    if kind in ("JPEG", "MPO"):
        upright(picture).save(buffer, "JPEG", quality=95, subsampling=0)
    else:
        upright(picture).save(buffer, "PNG")
    return buffer.getvalue(), True


def _opens(data: bytes) -> bool:
    """Whether Pillow opens the bytes as they came: a PNG may fail by its texts, which `open_image` leaves out."""
    if without_texts(data) is data:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            PIL.Image.open(io.BytesIO(data)).load()
    except Exception:  # a decoder raises what it likes
        return False
    return True


def _deep(picture: PIL.Image.Image) -> bool:
    """Whether its greys have more than 8 bits."""
    return picture.mode.startswith("I;16") or picture.mode in ("I", "F")


def _transparent(picture: PIL.Image.Image) -> bool:
    return picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
