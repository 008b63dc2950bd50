"""Files that say they are pictures: whole ones damaged, ones whose headers lie, bombs, and other things entirely."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import lru_cache
from random import Random

from PIL import Image

SIDE = 24
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# How whole pictures are written before they are damaged: every format that is taken, in its usual forms.
FORMS = {
    "JPEG": ("RGB", {}), "progressive JPEG": ("RGB", {"progressive": True}), "CMYK JPEG": ("CMYK", {}),
    "PNG": ("RGB", {}), "palette PNG": ("P", {}), "deep PNG": ("I;16", {}), "clear PNG": ("RGBA", {}),
    "WEBP": ("RGB", {}), "lossless WEBP": ("RGBA", {"lossless": True}), "GIF": ("P", {}), "BMP": ("RGB", {}),
    "TIFF": ("RGB", {}), "packed TIFF": ("RGB", {"compression": "tiff_lzw"}), "float TIFF": ("F", {}),
    "JPEG TIFF": ("RGB", {"compression": "jpeg"}), "bilevel TIFF": ("1", {"compression": "group4"}),
}  # fmt: skip


@lru_cache
def whole(form: str, side: int = SIDE) -> bytes:
    """A whole picture of noise in one of the forms."""
    mode, options = FORMS[form]
    noise = Image.frombytes("L", (side, side), Random(form).randbytes(side * side)).convert("RGB")
    buffer = io.BytesIO()
    (noise.convert("I").convert(mode) if mode == "I;16" else noise.convert(mode)).save(
        buffer, form.split()[-1], **options
    )
    return buffer.getvalue()


def flipped(rng: Random) -> bytes:
    """One to twelve bits turned over, often in the header."""
    data = bytearray(whole(rng.choice(list(FORMS))))
    reach = rng.choice((64, len(data)))
    for _ in range(rng.randint(1, 12)):
        data[rng.randrange(min(reach, len(data)))] ^= 1 << rng.randrange(8)
    return bytes(data)


def cut(rng: Random) -> bytes:
    """The beginning of a picture."""
    data = whole(rng.choice(list(FORMS)))
    return data[: rng.randrange(1, len(data))]


def moved(rng: Random) -> bytes:
    """A span of bytes left out, doubled, blanked, or taken from elsewhere in the file."""
    data = whole(rng.choice(list(FORMS)))
    at, size = rng.randrange(len(data)), rng.choice((1, 2, 4, 8, 64))
    other = rng.randrange(len(data))
    between = rng.choice((b"", data[at : at + size] * 2, bytes(size), b"\xff" * size, data[other : other + size]))
    return data[:at] + between + data[at + size :]


def spliced(rng: Random) -> bytes:
    """The head of one picture on the body of another, or two files one after the other."""
    one, two = (whole(rng.choice(list(FORMS))) for _ in range(2))
    return rng.choice((one + two, one[: rng.randrange(4, 64)] + two[rng.randrange(4, 64) :]))


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, body: bytes, extra: bytes = b"", depth: int = 8, colour: int = 0) -> bytes:
    """A PNG with this header, whatever its body."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return SIGNATURE + header + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def liar(rng: Random) -> bytes:
    """A small file whose header says that it is vast, thin, empty or beyond numbers."""
    width, height = (rng.choice((0, 1, 3, 24, 5_000, 60_000, 65_535)) for _ in range(2))
    return rng.choice((
        png(width, height, body=zlib.compress(bytes(600))),
        png(rng.choice((0x7FFFFFFF, 0xFFFFFFFF)), height, body=b""),
        b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b"," + struct.pack("<HHHHB", 9, 9, height, width, 0)
        + b"\x02\x02\x44\x01\x00;",
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 90, 0, 0, 54, 40, width, -height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(36),
        _resized_jpeg(width, height),
        tiff([(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 9)]),
    ))  # fmt: skip


def _resized_jpeg(width: int, height: int) -> bytes:
    data = whole("JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def tiff(tags: list[tuple[int, int, int, int]], copies: int = 1, last: int = 0) -> bytes:
    """A TIFF of `copies` directories with these tags (number, type, count, value); the last one points at `last`."""
    body, size = b"II*\0" + struct.pack("<I", 8), 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    for copy in range(copies):
        following = 8 + (copy + 1) * size if copy < copies - 1 else last
        body += struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return body


@lru_cache
def _bomb(depth: int, colour: int) -> bytes:
    side = 12_000
    return png(side, side, body=zlib.compress(bytes((side * depth // 8 + 1) * side), 9), depth=depth, colour=colour)


def pixels(rng: Random) -> bytes:
    """A whole picture of 144 million pixels in some kilobytes."""
    return _bomb(rng.choice((1, 8)), rng.choice((0, 3)))


def frames(rng: Random) -> bytes:
    """An animation: of many frames, of as many as its header likes to say, or one that ends where it began."""
    size = [(256, 4, 1, 9), (257, 4, 1, 9)]
    frame = b"!\xf9\x04\0\0\0\0\0," + struct.pack("<HHHHB", 0, 0, 9, 9, 0) + b"\x02\x02\x44\x01\x00"
    count = rng.choice((2, 300, 3_000))
    said = chunk(b"acTL", struct.pack(">II", rng.choice((0, 2, 0x7FFFFFFF, 0xFFFFFFFF)), 0))
    return rng.choice((
        b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0x80, 0, 0) + bytes(6) + frame * count + b";",
        png(9, 9, body=zlib.compress(bytes(90)), extra=said),
        tiff([*size, (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 81)], count, rng.choice((0, 8))),
        _animated_webp(),
    ))  # fmt: skip


@lru_cache
def _animated_webp() -> bytes:
    buffer, shades = io.BytesIO(), [Image.new("RGB", (9, 9), (shade, 0, 0)) for shade in range(0, 250, 5)]
    shades[0].save(buffer, "WEBP", save_all=True, append_images=shades[1:])
    return buffer.getvalue()


@lru_cache
def _described() -> tuple[bytes, ...]:
    """Pictures with metadata that is vast, packed to be vast, a circle, or markup."""
    script, packed = b"<script>alert(1)</script>", zlib.compress(bytes(30_000_000), 9)
    body, jpeg = zlib.compress(bytes((SIDE + 1) * SIDE)), whole("JPEG")
    loop = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 8)
    turned = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x0112, 2, 0xFFFFFF, 8, 0)
    extras = (
        chunk(b"zTXt", b"Comment\0\0" + packed), chunk(b"iCCP", b"profile\0\0" + packed),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed), chunk(b"tEXt", b"Title\0" + script * 20_000),
        chunk(b"tEXt", b"k\0v") * 20_000, chunk(b"eXIf", loop[6:]), chunk(b"tRNS", bytes(9)), chunk(b"iCCP", b"\0"),
    )  # fmt: skip
    segments = (loop, turned, b"Exif\0\0" + script, b"http://ns.adobe.com/xap/1.0/\0" + script, b"MPF\0II*\0" + loop)
    blocks = [b"\xff\xe1" + struct.pack(">H", 2 + len(data)) + data for data in segments]
    comments = (b"\xff\xfe\xff\xff" + bytes(65_533)) * 30
    return (
        *(png(SIDE, SIDE, body=body, extra=extra) for extra in extras),
        *(jpeg[:2] + block + jpeg[2:] for block in (*blocks, comments)),
    )


def described(rng: Random) -> bytes:
    """A picture whose metadata is the attack."""
    return rng.choice(_described())


@lru_cache
def _others() -> tuple[bytes, ...]:
    """What is no picture that is taken, or none at all."""
    archive, drawing = (
        io.BytesIO(),
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>1</script></svg>',
    )
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("../../escaped.txt", bytes(1_000_000))
    icon = io.BytesIO()
    Image.new("RGB", (16, 16)).save(icon, "ICO")
    return (
        drawing, b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + drawing,
        b"<html><script>alert(1)</script></html>", archive.getvalue(), b"%PDF-1.7\n%%EOF", zlib.compress(bytes(9_000)),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(out) (w) file\n", b"8BPS\0\1" + bytes(60),
        icon.getvalue(), b"\0\0\0\x18ftypmp42" + bytes(60), b"P6 99999 99999 255\n", b"#!/bin/sh\nexit 1\n", b"", b"\0",
        bytes(4_096), b"\x80\x04cos\nsystem\n(S'true'\ntR.", b"../../secret.png", "Bild ☃".encode("utf-16"), b"GIF89a",
        SIGNATURE, b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"BM", b"II*\0",
    )  # fmt: skip


def other(rng: Random) -> bytes:
    """A file of another kind."""
    return rng.choice(_others())


def misnamed(rng: Random) -> bytes:
    """A whole picture; its name says another format."""
    return whole(rng.choice(list(FORMS)))


HOSTILE: dict[str, Callable[[Random], bytes]] = {
    "bits flipped": flipped, "cut off": cut, "bytes moved": moved, "two files in one": spliced,
    "size that lies": liar, "bomb of pixels": pixels, "bomb of frames": frames, "metadata": described,
    "another kind of file": other, "wrong extension": misnamed,
}  # fmt: skip
