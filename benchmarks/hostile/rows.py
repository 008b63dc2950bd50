"""Rows of shards, each hostile in one known way, and the folder in which they would do harm."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.hostile import pictures
from benchmarks.hostile.words import TEXTS, say
from oasis_ray.input.columns import IMAGE

SECRET = b"nobody may read this"
CLIMBS = (
    "../secret.png", "sub/../../secret.png", "./../secret.png", "../images/../secret.png", "..", "sub/..",
    "/etc/passwd",
    "{}/secret.png", "file://{}/secret.png", "local://{}/secret.png", "simplecache::file://{}/secret.png",
    "..\\secret.png",
    "a.png\0", "\0", "C:\\secret.png", "http://127.0.0.1:9/a.png", "s3://bucket/a.png", "memory://a.png",
    "//secret.png",
    "%2e%2e/secret.png", "..%2fsecret.png", "․․/secret.png", "~/secret.png", "$HOME/a.png", "....//secret.png", "*.png",
)  # fmt: skip
LINKS = {"out.png": "../secret.png", "up": "..", "etc": "/etc", "loop.png": "loop.png", "dead.png": "none.png",
         "chain.png": "out.png", "out2.png": "{}/secret.png"}  # fmt: skip
LINKED = (*LINKS, "up/secret.png", "up/images/a.png/../../secret.png", "etc/passwd", "up/up/secret.png", "sub/out.png")
NOWHERE = (
    "none.png",
    "sub",
    ".",
    "./",
    "",
    " ",
    "a.png/b.png",
    "x" * 300,
    "x/" * 3000,
    "\n.png",
    "[a].png",
    b"\xff\xfe.png",
)
IDS = (
    "", " ", "\n", "a\nb", "\0", "../../x", "/etc/passwd", "a/b/c", "a#2", "a#3", "#2", ".parquet", "C:\\x", "NaN",
    "None",
    "i" * 20_000, "\u202egnp", "𝒳", "🏳️‍🌈", "e" + "\u0301" * 50, "'; DROP TABLE rows; --", "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>', "[bold]x[/x]", "\x1b[31m", "{{instruction}}", "%s%n", "<|im_end|>", "vast",
    "caption-x",
)  # fmt: skip
BAD = (b"\xff\xfe", b"\xc3", b"What \xed\xa0\x80 is it?", b"\xf0\x9f\x98", None)


@dataclass(frozen=True, slots=True)
class Hostile:
    """A row of the input, and how it is hostile. `note` is its text column; bytes are no UTF-8."""

    kind: str
    id: str
    image: bytes | None
    path: str | bytes | None
    note: str | bytes | None = "What is it?"


def _picture(make: Callable[[Random], bytes], kind: str, number: int, rng: Random) -> Hostile:
    return Hostile(kind, f"picture-{number}", make(rng), rng.choice(("a.png", "b.jpg", "c", "../d.gif", None)))


def _path(paths: Sequence[str | bytes], kind: str, number: int, rng: Random) -> Hostile:
    return Hostile(kind, f"path-{number}", None, rng.choice(paths))


def _id(ids: Sequence[str], kind: str, _: int, rng: Random) -> Hostile:
    name = rng.choice(ids)
    return Hostile(kind, name, pictures.misnamed(rng), name)


def _note(kind: str, number: int, rng: Random) -> Hostile:
    note = rng.choice(BAD) if kind == "text that is none" else say(rng, TEXTS)
    return Hostile(kind, f"note-{number}", pictures.misnamed(rng), "a.png", note)


def _reply(kind: str, number: int, rng: Random) -> Hostile:
    return Hostile(kind, f"{kind.split()[-1]}-{number}", pictures.misnamed(rng), "a.png")


MAKERS: dict[str, tuple[int, Callable[[str, int, Random], Hostile]]] = {
    **{kind: (9, partial(_picture, make)) for kind, make in pictures.HOSTILE.items()},
    "path that climbs": (10, partial(_path, CLIMBS)),
    "path through a link": (6, partial(_path, LINKED)),
    "path to nowhere": (4, partial(_path, NOWHERE)),
    "odd id": (12, partial(_id, IDS)),
    "repeated id": (10, partial(_id, ("again", "again#2", "again#7"))),
    "text column": (24, _note),
    "text that is none": (4, _note),
    "reply, instruction": (16, _reply),
    "reply, caption": (14, _reply),
    "reply, bare": (9, _reply),
    "reply, vast": (1, _reply),
}


def draw(count: int, seed: int) -> list[Hostile]:
    """This many rows; of every kind its share, in any order."""
    wheel = [kind for kind, (weight, _) in MAKERS.items() for _ in range(weight)]
    kinds = (wheel * (count // len(wheel) + 1))[:count]
    Random(f"kinds {seed}").shuffle(kinds)
    return [MAKERS[kind][1](kind, number, Random(f"{seed} {number}")) for number, kind in enumerate(kinds)]


def lay(folder: Path, rows: Sequence[Hostile], per_shard: int = 2_000) -> None:
    """Write the rows as shards, and the folder of images with what it must not lead to."""
    (folder / "images/sub").mkdir(parents=True)
    (folder / "shards").mkdir()
    (folder / "images/a.png").write_bytes(pictures.whole("PNG"))
    hidden = pictures.chunk(b"tEXt", b"Secret\0" + SECRET)
    whole = pictures.whole("PNG")
    (folder / "secret.png").write_bytes(whole[:33] + hidden + whole[33:])
    for name, target in LINKS.items():
        (folder / "images" / name).symlink_to(target.format(folder))
    for start in range(0, len(rows), per_shard):
        some = rows[start : start + per_shard]
        paths = [
            row.path.format(folder) if isinstance(row.path, str) and "{}/" in row.path else row.path for row in some
        ]
        images = pa.StructArray.from_arrays(
            [pa.array([row.image for row in some], pa.binary()), _text(paths)], fields=list(IMAGE)
        )
        table = pa.table({"id": [row.id for row in some], "image": images, "note": _text([row.note for row in some])})
        pq.write_table(table, folder / f"shards/{start:08d}.parquet", row_group_size=100)


def lay_pictures(folder: Path, count: int) -> None:
    """Write one shard of whole pictures, each another one."""
    folder.mkdir(parents=True)
    images = [{"bytes": pictures.whole("PNG", side), "path": None} for side in range(24, 24 + count)]
    table = pa.table({"id": [f"whole-{number}" for number in range(count)], "image": pa.array(images, IMAGE)})
    pq.write_table(table, folder / "whole.parquet")


def _text(values: Sequence[str | bytes | None]) -> pa.Array:
    """A column that says it is text, whatever its bytes."""
    return pa.array([value.encode() if isinstance(value, str) else value for value in values], pa.binary()).view(
        pa.string()
    )
