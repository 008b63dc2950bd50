"""Hostile folders, tars and lists for `ingest`: what is there must be what is taken and what is passed over.

Each maker writes one source with `FILES` entries of random kinds and returns how many of them `ingest` has to account
for. A link to a folder that is walked already is no entry of its own: its files are counted where they lie.
"""

import io
import json
import os
import socket
import tarfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pyarrow.parquet as pq

from benchmarks.hostile import pictures
from benchmarks.hostile.rows import CLIMBS, IDS, NOWHERE, SECRET
from oasis_ray.errors import JobError
from oasis_ray.input.ingest import Ingested, ingest
from oasis_ray.input.record_images import KEYS as IMAGE_KEYS

FILES = 40
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"
NAMES: Sequence[str] = (
    "{}.jpg", "{}.jpeg", "{}.JFIF", "{}", "{}.jpg_large", "{}.txt", "a b {}.png", "日本{}.webp", "{}\n.png", "[{}].png",
    "sub/{}.gif", "sub/deep/{}.tif", "x" * 200 + "{}.bmp", "{}..jpg", "-{}.png", "{}.parquet", "{}\\x.png", "*{}?.png",
)  # fmt: skip
HIDDEN = ("._{}.jpg", ".{}.png", "__MACOSX/{}.jpg", ".cache-{}/a.png", ".DS_Store-{}")
LIST = ("[", "null", "{}", "[]", '"a.png"', "7", '{"image": null}', '{"image": []}', '{"image": ["a.png", "b.png"]}',
        '{"image": 7}', '{"image": {"path": "a.png"}}', '{"picture": "a.png"}', "[" * 5000, '{"image": "a.png"',
        '{"image": "a\\ud800.png"}', '{"image": "a.png", "id": NaN}', '{"n": 1, "n": 2}', '{"n": 1e400}',
        '{"conversations": [{"from": "human", "value": "a"}]}', '{"conversations": 7}')  # fmt: skip


def folder(path: Path, rng: Random) -> int:
    """A folder with files under odd names, hidden ones, links in, out and in circles, pipes and sockets."""
    (path / "own").mkdir(parents=True)
    (path / "own/a.png").write_bytes(pictures.whole("PNG"))
    there = 1
    for number in range(FILES):
        kind = rng.choice(
            ("file", "file", "file", "hidden", "link out", "link in", "circle", "dead", "special", "none")
        )
        place = path / rng.choice(HIDDEN if kind == "hidden" else NAMES).format(number)
        place.parent.mkdir(parents=True, exist_ok=True)
        match kind:
            case "file" | "hidden":
                place.write_bytes(_content(rng))
            case "link out":
                place.symlink_to(rng.choice((path.parent / "secret.png", path.parent, Path("/etc"))))
            case "link in":
                place.symlink_to(path / "own/a.png")
            case "circle":
                place.symlink_to(rng.choice((path, path / "own")))
            case "dead":
                place.symlink_to(path / "none.png")
            case "special":
                _special(place, rng)
            case "none":
                place.mkdir()
        there += kind not in ("circle", "none", "hidden")
    # A hidden folder is passed over as one, however much lies in it.
    return there + len({hidden.parts[: _hidden_at(hidden)] for hidden in _all(path) if _hidden_at(hidden)})


def tar(path: Path, rng: Random) -> int:
    """A tar with odd members: absolute and climbing names, links, devices, names twice, and no end or more than one."""
    there = 0
    with tarfile.open(path, rng.choice(("w", "w:gz", "w:xz"))) as file:
        for number in range(FILES):
            name = rng.choice((*NAMES, *HIDDEN, "../{}.png", "/etc/{}.png", "twice.png")).format(number)
            member = tarfile.TarInfo(name)
            kinds = (tarfile.REGTYPE,) * 6 + (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
            member.type, data = rng.choice(kinds), _content(rng)
            if member.type == tarfile.REGTYPE:
                member.size = len(data)
            elif member.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                member.linkname = "../secret.png"
            file.addfile(member, io.BytesIO(data))
            there += member.type != tarfile.DIRTYPE
    return there


def lines(path: Path, rng: Random) -> int:
    """A jsonl with lines that are none, paths that climb or lead nowhere, and ids of all kinds."""
    (path.parent / "sub").mkdir(exist_ok=True)
    (path.parent / "a.png").write_bytes(pictures.whole("PNG"))
    texts = [rng.choice((*(_record(path, rng) for _ in range(3)), rng.choice(LIST))) for _ in range(FILES)]
    encoding = rng.choice(("utf-8", "utf-8-sig"))
    path.write_bytes(rng.choice(("\n", "\r\n")).join(texts).encode(encoding))
    return FILES


def items(path: Path, rng: Random) -> int:
    """A JSON list with items that are no records, paths that climb or lead nowhere, and values of all kinds."""
    (path.parent / "sub").mkdir(exist_ok=True)
    (path.parent / "a.png").write_bytes(pictures.whole("PNG"))
    odd = [text for text in LIST if _is_json(text)]
    texts = [rng.choice((*(_record(path, rng) for _ in range(3)), rng.choice(odd))) for _ in range(FILES)]
    path.write_text(f"[{rng.choice((',', ', ')).join(texts)}]", encoding=rng.choice(("utf-8", "utf-8-sig")))
    return FILES


FAMILIES: dict[str, tuple[str, Callable[[Path, Random], int]]] = {
    "folder": ("in", folder),
    "tar": ("in.tar", tar),
    "list": ("lists/in.jsonl", lines),
    "json": ("lists/in.json", items),
}


def take_in(
    family: str, scratch: Path, rng: Random, take: Callable[[Path, Path], Ingested] = ingest
) -> tuple[Counter[str], list[str]]:
    """What became of one hostile source (taken, and passed over by reason), and the harm that was done."""
    name, make = FAMILIES[family]
    source, out, harm = scratch / name, scratch / "out", list[str]()
    source.parent.mkdir(parents=True, exist_ok=True)
    (scratch / "secret.png").write_bytes(pictures.whole("PNG") + SECRET)
    there = make(source, rng)
    try:
        made = take(source, out)
    except JobError as error:
        if "contains no " not in str(error):
            harm.append(f"{family}: refused as a whole: {error}")
        return Counter(), harm
    except Exception as error:  # whatever it is, a user would see a traceback
        return Counter(), [f"{family}: {type(error).__name__}: {error}"]
    if made.rows + sum(made.passed_over.values()) != there:
        harm.append(f"{family}: {there} there, {made.rows} taken, {sum(made.passed_over.values())} passed over")
    rows = [row for part in sorted(out.glob("*.parquet")) for row in pq.read_table(part).to_pylist()]
    if len(rows) != made.rows:
        harm.append(f"{family}: {made.rows} rows said, {len(rows)} written")
    harm.extend(
        f"{family}: {row['id']!r} was read" for row in rows if row.get("image") and SECRET in row["image"]["bytes"]
    )
    return Counter({"taken": made.rows, **made.passed_over}), harm


def _record(path: Path, rng: Random) -> str:
    """A record of a list: an image that may climb or lead nowhere, an id, and a value of any kind."""
    places = (*(climb.format(path.parent.parent) for climb in CLIMBS), *NOWHERE, *("a.png",) * 40)
    image = rng.choice([place for place in places if isinstance(place, str)])
    return json.dumps({rng.choice(IMAGE_KEYS): image, "id": rng.choice(IDS), "value": rng.choice(IDS)}, allow_nan=False)


def _is_json(text: str) -> bool:
    """Whether a text can stand in a JSON list: one that is not JSON makes the whole file unreadable."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return "NaN" not in text and "1e400" not in text


def _content(rng: Random) -> bytes:
    makers = (*pictures.HOSTILE.values(), *(lambda _, form=form: pictures.whole(form) for form in pictures.FORMS))
    return rng.choice((POINTER, b"", b"words", *(maker(rng) for maker in rng.sample(makers, 6))))


def _special(place: Path, rng: Random) -> None:
    """A pipe, or a socket where the path is short enough for one."""
    if rng.random() < 0.5 or len(os.fsencode(place)) > 100:
        os.mkfifo(place)
        return
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(place))


def _all(path: Path) -> list[Path]:
    return [found.relative_to(path) for found in path.rglob("*")]


def _hidden_at(path: Path) -> int:
    """How many parts of a path lead to its first hidden one; 0 where none is hidden."""
    return next((at + 1 for at, part in enumerate(path.parts) if part.startswith(".") or part == "__MACOSX"), 0)
