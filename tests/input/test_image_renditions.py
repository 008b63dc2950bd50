"""Admission and conversion of images of all kinds, valid and broken."""

import io
import struct
from hashlib import sha256
from typing import Any

import PIL.Image
import pytest

from oasis_ray.errors import RowError
from oasis_ray.input.image_admission import admit
from oasis_ray.input.image_renditions import decode, portable
from oasis_ray.job.limits import Limits
from oasis_ray.types import Image
from tests.support.shards import picture

RED, BLUE, WHITE, BLACK, GREY = (255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (90, 90, 90)
ANIMATED = ("GIF", "WEBP", "PNG", "TIFF")
TAKEN = "accepted: JPEG, PNG, WEBP, GIF, BMP, TIFF"


def encoded(image: PIL.Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def halves(
    kind: str, left: Any = "red", right: Any = "blue", mode: str = "RGB", orientation: int = 1, **options: Any
) -> bytes:
    """Return an image of 8 x 4 pixels, left and right half of different colours, with an EXIF orientation."""
    image = PIL.Image.new(mode, (8, 4), left)
    image.paste(right, (4, 0, 8, 4))
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, kind, **({"exif": exif} if orientation != 1 else {}), **options)


def noise() -> PIL.Image.Image:
    return PIL.Image.frombytes("RGB", (64, 64), bytes((i * 7919 >> 3) % 256 for i in range(64 * 64 * 3)))


def frames(kind: str, count: int = 2) -> bytes:
    red, *others = (PIL.Image.new("RGB", (8, 6), RED if number % 2 == 0 else BLUE) for number in range(count))
    return encoded(red, kind, save_all=True, append_images=others)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_valid_image_is_admitted_unchanged(kind: str) -> None:
    data = encoded(noise(), kind)
    image = admit(data, Limits())
    assert (image.data, image.digest) == (data, sha256(data).hexdigest())
    assert (decode(image).mode, decode(image).size) == ("RGB", (64, 64))


LIMITS = {
    "no bytes": (None, {}, "image_missing", "the row has no image"),
    "empty": (b"", {}, "image_missing", "the row has no image"),
    "bytes": (b"x" * 11, {"max_bytes": 10}, "image_too_many_bytes", "11 bytes, the limit is 10"),
    "a web page": (b"<html>404", {}, "image_format", f"it is the text '<html>404' instead of an image; {TAKEN}"),
    "a drawing": (b"<svg>", {}, "image_format", f"it is the text '<svg>' instead of an image; {TAKEN}"),
    "not listed": (
        b"BM" + bytes(16),
        {"formats": ("PNG",)},
        "image_format",
        f"it begins with {b'BM' + bytes(10)}; accepted: PNG",
    ),
    "pixels": (picture(size=(10, 10)), {"max_pixels": 99}, "image_too_many_pixels", "10 x 10, the limit is 99 pixels"),
    "one wide": (picture(size=(1, 9)), {}, "image_too_small", "1 x 9, the shorter side must have at least 4 pixels"),
    "a thread": (
        picture(size=(801, 4)),
        {},
        "image_too_long",
        "801 x 4, the longer side may be at most 200 times the shorter",
    ),
    **{kind: (frames(kind), {}, "image_animated", "more frames than the limit of 1") for kind in ANIMATED},
}


@pytest.mark.parametrize(("data", "limits", "reason", "detail"), LIMITS.values(), ids=LIMITS)
def test_a_picture_beyond_a_limit_says_what_it_is_and_what_it_may_be(
    data: bytes | None, limits: dict[str, Any], reason: str, detail: str
) -> None:
    with pytest.raises(RowError) as error:
        admit(data, Limits(**limits))
    assert error.value.args == (reason, detail)


@pytest.mark.parametrize(
    ("kind", "share", "reason"),
    [
        *((kind, 0.5, "image_truncated") for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF")),
        ("WEBP", 0.5, "image_broken"),  # its decoder gives no reason
        ("JPEG", 0.01, "image_truncated"),
        ("PNG", 0.04, "image_broken"),  # an accepted format with a truncated header
    ],
)
def test_a_truncated_image_is_rejected(kind: str, share: float, reason: str) -> None:
    whole = encoded(noise(), kind)
    with pytest.raises(RowError) as error:
        admit(whole[: round(len(whole) * share)], Limits())
    assert error.value.reason == reason


def test_a_picture_whose_bytes_lie_is_broken() -> None:
    data = bytearray(encoded(noise()))
    data[60] ^= 255
    with pytest.raises(RowError) as error:
        admit(bytes(data), Limits())
    assert error.value.args == ("image_broken", "OSError: broken data stream when reading image file")


@pytest.mark.parametrize("kind", ANIMATED)
def test_an_animation_just_within_the_limit_is_admitted_as_its_first_frame(kind: str) -> None:
    red, green, blue = decode(admit(frames(kind), Limits(max_frames=2))).getpixel((0, 0))
    assert (red > 250, green + blue < 4) == (True, True)
    with pytest.raises(RowError, match="more frames than the limit of 2"):
        admit(frames(kind, 3), Limits(max_frames=2))


@pytest.mark.timeout(30)  # counting all frames takes an hour
def test_the_frames_of_a_tiff_are_counted_only_up_to_the_limit() -> None:
    tags = {256: 8, 257: 8, 258: 8, 262: 1, 273: 8, 279: 64}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    size, count = len(entries) + 6, 500_000
    chain = (struct.pack("<H", len(tags)) + entries + struct.pack("<I", 8 + size * (n + 1)) for n in range(count))
    with pytest.raises(RowError, match="more frames than the limit of 1"):
        admit(b"II*\0\x08\0\0\0" + b"".join(chain), Limits())


@pytest.mark.parametrize("size", [(4, 4), (4, 800), (800, 4)])
def test_an_image_just_within_the_limits_is_admitted(size: tuple[int, int]) -> None:
    assert decode(admit(picture(size=size), Limits())).size == size


def test_a_photo_with_a_second_image_for_the_camera_is_admitted() -> None:
    # Phones append a preview or a gain map to a JPEG (MPO): it is no animation.
    assert decode(admit(frames("MPO"), Limits())).getpixel((0, 0)) == (254, 0, 0)


@pytest.mark.parametrize(
    ("data", "corners", "size"),
    [
        pytest.param(halves("PNG"), (RED, BLUE), (8, 4), id="plain"),
        pytest.param(halves("PNG", orientation=3), (BLUE, RED), (8, 4), id="upside down"),
        pytest.param(halves("PNG", orientation=6), (RED, BLUE), (4, 8), id="turned right"),
        pytest.param(halves("WEBP", orientation=8, lossless=True), (BLUE, RED), (4, 8), id="turned left"),
        pytest.param(halves("TIFF", orientation=2), (BLUE, RED), (8, 4), id="mirrored"),
        pytest.param(halves("PNG", orientation=9), (RED, BLUE), (8, 4), id="no such orientation"),
        pytest.param(halves("TIFF", (0, 255, 255, 0), (255, 255, 0, 0), "CMYK"), (RED, BLUE), (8, 4), id="CMYK"),
        pytest.param(encoded(PIL.Image.open(io.BytesIO(halves("PNG"))).quantize(2)), (RED, BLUE), (8, 4), id="palette"),
        pytest.param(halves("PNG", transparency=RED), (WHITE, BLUE), (8, 4), id="a transparent colour"),
        pytest.param(halves("PNG", (9, 9, 9, 0), (0, 0, 255, 255), "RGBA"), (WHITE, BLUE), (8, 4), id="RGBA"),
        pytest.param(halves("PNG", (0, 255), (0, 0), "LA"), (BLACK, WHITE), (8, 4), id="grey and alpha"),
        pytest.param(halves("PNG", 90, 255, "L"), (GREY, WHITE), (8, 4), id="grey"),
        pytest.param(halves("PNG", 0, 1, "1"), (BLACK, WHITE), (8, 4), id="black and white"),
        pytest.param(halves("PNG", 0, 65535, "I;16"), (BLACK, WHITE), (8, 4), id="16 bit"),
        pytest.param(halves("TIFF", 0, 65535, "I;16B"), (BLACK, WHITE), (8, 4), id="16 bit, big-endian"),
        pytest.param(halves("TIFF", 0.0, 1.0, "F"), (BLACK, WHITE), (8, 4), id="floats"),
        pytest.param(halves("PNG", 65535, 65535, "I;16"), (WHITE, WHITE), (8, 4), id="16 bit, all white"),
    ],
)
def test_decode_returns_an_upright_rgb_image(data: bytes, corners: tuple[Any, Any], size: tuple[int, int]) -> None:
    image = decode(admit(data, Limits()))
    first, last = image.getpixel((0, 0)), image.getpixel((image.width - 1, image.height - 1))
    assert (image.mode, image.size, (first, last)) == ("RGB", size, corners)


@pytest.mark.parametrize(
    ("data", "media"),
    [(picture(), "image/png"), (picture(kind="JPEG"), "image/jpeg"), (picture(kind="WEBP"), "image/webp")],
)
def test_a_plain_image_is_sent_unchanged(data: bytes, media: str) -> None:
    assert portable(admit(data, Limits())) == (data, media)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(halves("BMP"), id="a format that servers lack"),
        pytest.param(halves("JPEG", orientation=6), id="turned"),
        pytest.param(halves("JPEG", (0, 255, 255, 0), (255, 255, 0, 0), "CMYK"), id="CMYK"),
        pytest.param(halves("PNG", transparency=RED), id="a transparent colour"),
        pytest.param(frames("PNG"), id="animated"),
    ],
)
def test_any_other_image_is_sent_as_the_png_that_models_see(data: bytes) -> None:
    image = admit(data, Limits(max_frames=2))
    sent, media = portable(image)
    assert (media, sent == data) == ("image/png", False)
    assert PIL.Image.open(io.BytesIO(sent)).tobytes() == decode(image).tobytes()


def test_the_same_bytes_are_the_same_image() -> None:
    assert admit(picture(), Limits()) == Image(b"", sha256(picture()).hexdigest())
