"""Images are decoded as a viewer shows them, whatever else is in the file; trainers get the same pixels."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import PIL.Image
import pytest

from oasis_ray.errors import RowError
from oasis_ray.input.image_admission import admit
from oasis_ray.input.image_decoding import PNG, as_seen, open_image, without_texts
from oasis_ray.input.image_renditions import decode
from oasis_ray.job.limits import Limits

GRADIENT = np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(48, 64)


def tiff(grey: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(grey).save(buffer, "TIFF")
    return buffer.getvalue()


def changed(where: Any, value: float) -> np.ndarray:
    grey = GRADIENT.copy()
    grey[where] = value
    return grey


def hot(width: int = 64, height: int = 48) -> bytes:
    grey = np.tile(np.linspace(100, 4000, width, dtype=np.uint16), (height, 1))
    grey[3, 3] = 65535
    buffer = io.BytesIO()
    PIL.Image.fromarray(grey).save(buffer, "PNG")
    return buffer.getvalue()


def seen(data: bytes) -> np.ndarray:
    """Return the pixels that a judge sees."""
    return np.asarray(decode(admit(data, Limits())))


@pytest.mark.parametrize(
    "data",
    [
        tiff(GRADIENT), tiff(changed(np.s_[:5, :5], np.nan)), tiff(changed((7, 7), np.inf)),
        tiff(changed((7, 7), -np.inf)), tiff(changed(np.s_[20:24, 20:30], -3.4028235e38)), hot(),
        hot(32, 24), hot(8, 8),
    ],
    ids=["plain", "NaN", "infinite", "minus infinite", "no data", "a hot pixel", "among 768", "among 64"],
)  # fmt: skip
def test_outliers_do_not_darken_an_image(data: bytes) -> None:
    tones = seen(data)[..., 0]
    assert 100 < np.median(tones) < 156
    assert (tones.min(), tones.max()) == (0, 255)


def test_pixels_without_a_number_are_black() -> None:
    assert seen(tiff(changed(np.s_[:, 32:], np.nan)))[:, 32:].max() == 0


def test_an_image_without_finite_pixels_is_broken() -> None:
    with pytest.raises(RowError, match="image_broken: ValueError: no pixel is a finite number"):
        admit(tiff(np.full((8, 8), np.nan, np.float32)), Limits())


@pytest.mark.parametrize(("tone", "expected"), [(0.0, 0), (65535.0, 255), (300.0, 1)])
def test_an_image_of_one_tone_has_that_tone(tone: float, expected: int) -> None:
    assert np.unique(seen(tiff(np.full((8, 8), tone, np.float32)))).tolist() == [expected]


def test_two_tones_of_which_one_is_rare_are_both_seen() -> None:
    grey = np.zeros((64, 64), np.float32)
    grey[0, 0] = 1.0
    assert np.unique(seen(tiff(grey))).tolist() == [0, 255]


def jpeg(*segments: bytes) -> bytes:
    """Return a JPEG of 16 x 8 pixels, left half red, right half blue, with APP1 segments."""
    picture = PIL.Image.new("RGB", (16, 8), "red")
    picture.paste("blue", (8, 0, 16, 8))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95, subsampling=0)
    data = buffer.getvalue()
    apps = b"".join(b"\xff\xe1" + struct.pack(">H", len(one) + 2) + one for one in segments)
    return data[:2] + apps + data[2:]


def exif(*entries: bytes, tail: bytes = b"") -> bytes:
    """Return an APP1 segment of EXIF with these entries of IFD0 after an orientation of 6."""
    turned = struct.pack("<HHII", 0x0112, 3, 1, 6)
    every = [turned, *entries]
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(every)) + b"".join(every) + b"\0\0\0\0" + tail


def at(entries: int) -> int:
    """Return the offset of the tail of such a segment."""
    return 8 + 2 + 12 * (entries + 1) + 4


ODD = {
    "a signed resolution": exif(struct.pack("<HHII", 0x011A, 10, 1, at(1)), tail=struct.pack("<ii", -1, 1)),
    "an exposure of -2/0": exif(
        struct.pack("<HHII", 0x8769, 4, 1, at(1)),
        tail=struct.pack("<HHHIII", 1, 0x9204, 10, 1, at(1) + 18, 0) + struct.pack("<ii", -2, 0),
    ),
    "a resolution of 0/0": exif(struct.pack("<HHII", 0x011B, 5, 1, at(1)), tail=struct.pack("<II", 0, 0)),
    "an offset beyond the end": exif(struct.pack("<HHII", 0x010F, 2, 40, 1 << 30)),
    "nothing else": exif(),
}


@pytest.mark.parametrize("segment", ODD.values(), ids=ODD)
def test_exif_that_is_broken_elsewhere_still_rotates_the_image(segment: bytes) -> None:
    tones = seen(jpeg(segment))
    assert tones.shape == (16, 8, 3)
    assert (tones[0, 4, 0] > 200, tones[-1, 4, 2] > 200) == (True, True)


UNREAD = {
    "XMP that is no UTF-8": [b"http://ns.adobe.com/xap/1.0/\0\xa8\xff", exif()],
    "an empty EXIF": [b"Exif\0\0"],
    "EXIF that is none": [b"Exif\0\0II*\0\xff\xff\xff\xff"],
}


@pytest.mark.parametrize("segments", UNREAD.values(), ids=UNREAD)
def test_unreadable_segments_of_a_jpeg_are_ignored(segments: list[bytes]) -> None:
    assert seen(jpeg(*segments)).shape in ((16, 8, 3), (8, 16, 3))


def chunk(name: bytes, data: bytes, *, crc: int | None = None) -> bytes:
    return (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data) if crc is None else crc)
    )


def png(*chunks: bytes, last: bool = False) -> bytes:
    """Return a teal PNG with additional chunks before or after the pixels."""
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (32, 32), "teal").save(buffer, "PNG")
    data = buffer.getvalue()
    place = data.index(b"IEND") - 4 if last else data.index(b"IDAT") - 4
    return data[:place] + b"".join(chunks) + data[place:]


WORKFLOW = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b'{"a":1}' * 160_000))
BOMB = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(80_000_000)))
CHUNKS = {
    "a workflow": png(WORKFLOW),
    "a workflow behind": png(WORKFLOW, last=True),
    "a long plain text": png(chunk(b"tEXt", b"a\0" + b"b" * 3_000_000)),
    "a long profile": png(chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(1_100_000)))),
    "a wrong check sum": png(chunk(b"tEXt", b"a\0b", crc=1)),
    "an international text": png(chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(b"b" * 2_000_000))),
    "a bomb": png(BOMB),
}


@pytest.mark.parametrize("data", CHUNKS.values(), ids=CHUNKS)
def test_texts_and_profiles_of_a_png_are_not_read(data: bytes) -> None:
    assert np.unique(seen(data).reshape(-1, 3), axis=0).tolist() == [[0, 128, 128]]


@pytest.mark.parametrize("data", CHUNKS.values(), ids=CHUNKS)
def test_such_a_png_is_exported_as_one_that_trainers_open(data: bytes) -> None:
    kept, rewritten = as_seen(data)
    assert np.array_equal(np.asarray(PIL.Image.open(io.BytesIO(kept)).convert("RGB")), seen(data))
    assert rewritten is (kept != data)


def test_a_png_that_is_cut_off_in_a_text_is_truncated() -> None:
    whole = png(WORKFLOW)
    with pytest.raises(RowError, match="image_"):
        admit(whole[: whole.index(b"zTXt") + 40], Limits())


def test_bytes_that_only_look_like_a_text_chunk_stay() -> None:
    data = png(chunk(b"prVt", b"a private chunk with tEXt in it"))
    assert without_texts(data) == data
    assert data.startswith(PNG)


def encoded(kind: str, mode: str = "RGB", *, orientation: int | None = None, **options: Any) -> bytes:
    picture = PIL.Image.new("RGB", (16, 8), "red")
    picture.paste("blue", (8, 0, 16, 8))
    picture = picture.convert(mode)
    if mode in ("RGBA", "LA"):
        picture.putalpha(PIL.Image.linear_gradient("L").resize((16, 8)))
    if orientation is not None:
        options["exif"] = PIL.Image.Exif()
        options["exif"][0x0112] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "same"),
    [
        (encoded("JPEG"), True),
        (encoded("PNG"), True),
        (encoded("PNG", "L"), True),
        (encoded("PNG", "P"), True),
        (encoded("PNG", "1"), True),
        (encoded("JPEG", "CMYK"), True),
        (encoded("WEBP", lossless=True), True),
        (encoded("GIF", "P"), True),
        (encoded("BMP"), True),
        (encoded("JPEG", orientation=1), True),
        (encoded("JPEG", orientation=6), False),
        (encoded("JPEG", orientation=5), False),
        (encoded("PNG", orientation=3), False),
        (encoded("WEBP", orientation=8, lossless=True), False),
        (encoded("PNG", "RGBA"), False),
        (encoded("PNG", "LA"), False),
        (encoded("PNG", transparency=(255, 0, 0)), False),
        (tiff(GRADIENT), False),
        (hot(), False),
    ],
)
def test_a_trainer_opens_what_the_judges_saw_and_bytes_stay_if_possible(data: bytes, same: bool) -> None:
    kept, rewritten = as_seen(data)
    assert (kept == data, rewritten) == (same, not same)
    trained = np.asarray(PIL.Image.open(io.BytesIO(kept)).convert("RGB"), np.int16)
    judged = seen(data).astype(np.int16)
    assert trained.shape == judged.shape
    # A rotated JPEG is compressed again; everything else is exact.
    assert np.abs(trained - judged).max() <= (12 if open_image(data).format == "JPEG" and not same else 0)
