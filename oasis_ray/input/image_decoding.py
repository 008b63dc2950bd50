"""Raster: decodes an image as a viewer would show it: upright, on white if transparent, 8-bit RGB.

Broken metadata does not break an image: unreadable EXIF is ignored, and text chunks and colour profiles of a PNG are
not read at all.
"""

import io
import warnings
from collections.abc import Iterable
from contextlib import suppress

import numpy as np
import PIL.ExifTags
import PIL.Image

# Pillow warns at this number of pixels and fails at twice the number; `admission.admit` checks sizes before decoding.
PIL.Image.MAX_IMAGE_PIXELS = None
PNG = b"\x89PNG\r\n\x1a\n"
# Chunks without effect on the decoded pixels. Pillow rejects a file if one of them is broken, or unpacks to more than a
# megabyte, as those of ComfyUI, Blender and slide scanners do.
UNREAD_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT, 3: PIL.Image.Transpose.ROTATE_180, 4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE, 6: PIL.Image.Transpose.ROTATE_270, 7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}  # fmt: skip  # by EXIF's Orientation (EXIF 2.32, 4.6.4)
ABSURD = 1e30  # larger values of a float image mean "no data" (GDAL writes the lowest float)
TAIL, HOT = 0.1, 4  # minimum percentage and number of pixels that are clipped to white and to black: see `spread`
SAMPLED = 4_000_000  # maximum pixels for computing percentiles


def open_image(data: bytes, formats: Iterable[str] | None = None) -> PIL.Image.Image:
    """Open an encoded image. Raises what Pillow raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PIL.Image.open(io.BytesIO(without_texts(data)), formats=None if formats is None else list(formats))


def without_texts(data: bytes) -> bytes:
    """Return a PNG without its text chunks and colour profile; other formats unchanged."""
    if not data.startswith(PNG) or not any(name in data for name in UNREAD_CHUNKS):
        return data
    kept, at = [PNG], len(PNG)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] not in UNREAD_CHUNKS:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def orientation(image: PIL.Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) if it can't be read."""
    with suppress(Exception):  # EXIF data is arbitrary, and Pillow raises arbitrary exceptions on it
        value = image.getexif().get(PIL.ExifTags.Base.Orientation, 1)
        if value in TURNS:
            return int(value)
    return 1


def plain(image: PIL.Image.Image) -> bool:
    """Whether `Image.open(…).convert("RGB")`, which trainers use, gives the same pixels as `upright`."""
    return orientation(image) == 1 and not _deep(image) and not _transparent(image)


def upright(image: PIL.Image.Image) -> PIL.Image.Image:
    """Decode an image as upright RGB. Raises ValueError if no pixel is a finite number."""
    image.load()
    if (turn := TURNS.get(orientation(image))) is not None:
        image = image.transpose(turn)
    if _deep(image):
        # Pillow clips greys of more than 8 bits at 255; scale the range of the image instead.
        image = PIL.Image.fromarray(spread(np.array(image, np.float32)))
    if _transparent(image):
        image = image.convert("RGBA")
        white = PIL.Image.new("RGBA", image.size, "white")
        image = PIL.Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def spread(grey: np.ndarray) -> np.ndarray:
    """Scale greys of any range to 0 to 255; pixels that are NaN, infinite or "no data" become black.

    The brightest and the darkest 0.1% of the pixels, and at least four of each (up to 5%), are clipped, so that single
    hot pixels don't darken an image. Works in place where possible, because the largest image takes 350 MB.
    """
    absent = ~(np.abs(grey) < ABSURD)  # also true of NaN
    grey[absent] = np.nan
    sample = grey.ravel()[:: max(1, grey.size // SAMPLED)]
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        sample = grey[np.isfinite(grey)]
        if not sample.size:
            raise ValueError("no pixel is a finite number")
    tail = max(TAIL, min(5.0, 100 * HOT / sample.size))
    low, high = (float(value) for value in np.percentile(sample, (tail, 100 - tail)))
    if low == high:  # nearly uniform: use the full range instead of percentiles
        low, high = float(sample.min()), float(sample.max())
    if low == high:
        low, high = 0.0, 65535.0
    grey -= low
    grey *= 255 / (high - low)
    np.nan_to_num(grey, copy=False, nan=0.0)
    return grey.clip(0, 255, out=grey).round(out=grey).astype(np.uint8)


def as_seen(data: bytes) -> tuple[bytes, bool]:
    """Return an admitted image as bytes that trainers decode to what the judges saw, and whether it was re-encoded.

    Bytes that already decode so are returned unchanged. A rotated JPEG is re-encoded as a JPEG of high quality,
    anything else as a PNG.
    """
    image = open_image(data)
    kind, same = image.format, plain(image)
    if same and _opens(data):
        return data, False
    if same:
        return without_texts(data), True
    buffer = io.BytesIO()
    if kind in ("JPEG", "MPO"):
        upright(image).save(buffer, "JPEG", quality=95, subsampling=0)
    else:
        upright(image).save(buffer, "PNG")
    return buffer.getvalue(), True


def _opens(data: bytes) -> bool:
    """Whether Pillow opens the original bytes: a PNG may fail by its text chunks, which `open_image` removes."""
    if without_texts(data) is data:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            PIL.Image.open(io.BytesIO(data)).load()
    except Exception:  # decoders raise arbitrary exceptions
        return False
    return True


def _deep(image: PIL.Image.Image) -> bool:
    """Whether the greys of an image have more than 8 bits."""
    return image.mode.startswith("I;16") or image.mode in ("I", "F")


def _transparent(image: PIL.Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
