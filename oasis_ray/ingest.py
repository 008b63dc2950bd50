"""Make Parquet shards from a folder of images, a tar, or a jsonl that lists images."""

import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from oasis_ray.errors import JobError, RowError
from oasis_ray.schema import IMAGE
from oasis_ray.segment import fetch
from oasis_ray.storage import check_target
from oasis_ray.text_files import open_text

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
SCHEMA = pa.schema({"id": pa.string(), "image": IMAGE})
MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class Ingested:
    """What was written, and what was passed over and why."""

    rows: int
    shards: int
    skipped: tuple[str, ...]


def ingest(source: Path, out: Path, *, rows_per_shard: int = 1000) -> Ingested:
    """Write `out/shard-00000.parquet` and so on, with columns id and image.

    An image's id is its path below the folder or inside the tar, or what the jsonl says. A picture that is broken is
    taken along: it is the run that says so, row by row. Raises JobError where there is nothing to take, or `out` holds
    shards already.
    """
    check_target("OUT", str(out))
    if any(out.glob("*.parquet")):
        raise JobError([f"{out} holds Parquet files already; name another folder"])
    skipped: list[str] = []
    if source.is_dir():
        rows = _folder(source)
    elif tarfile_like(source):
        rows = _tar(source, skipped)
    elif source.suffix == ".jsonl" and source.is_file():
        rows = _jsonl(source, skipped)
    else:
        raise JobError([f"{source} is none of: a folder, a tar, a .jsonl"])
    count = shards = 0
    out.mkdir(parents=True, exist_ok=True)
    for batch in _batches(rows, rows_per_shard):
        table = pa.Table.from_pylist(
            [{"id": name, "image": {"bytes": data, "path": name}} for name, data in batch], SCHEMA
        )
        # Small row groups: a run reads, and takes up, a shard by them.
        pq.write_table(table, out / f"shard-{shards:05d}.parquet", row_group_size=100)
        count, shards = count + len(batch), shards + 1
    if not count:
        raise JobError([f"{source} holds no images ({', '.join(sorted(SUFFIXES))})", *skipped[:5]])
    return Ingested(count, shards, tuple(skipped))


def tarfile_like(path: Path) -> bool:
    """Whether the file is a tar, packed or not."""
    return path.is_file() and tarfile.is_tarfile(path)


def _folder(source: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(source.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield _text(path.relative_to(source).as_posix()), path.read_bytes()


def _tar(source: Path, skipped: list[str]) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(source) as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isfile() else None  # links in a tar are not followed
                if stream is None or Path(member.name).suffix.lower() not in SUFFIXES:
                    if not member.isdir():
                        skipped.append(f"{_text(member.name)}: not an image file")
                elif member.size > MAX_BYTES:
                    skipped.append(f"{_text(member.name)}: {member.size} bytes")
                else:
                    yield _text(member.name), stream.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise JobError([f"{source} can't be read to its end: {error}"]) from None


def _jsonl(source: Path, skipped: list[str]) -> Iterator[tuple[str, bytes]]:
    """Lines of {"image": path below the jsonl's folder, "id": optional}."""
    with source.open("rb") as stream:
        for number, line in enumerate(open_text(stream, str(source)), start=1):
            if not line.strip():
                continue
            where = f"{source.name}, line {number}"
            try:
                entry = json.loads(line)
                path, name = entry["image"], entry.get("id")
                if not isinstance(path, str):
                    raise TypeError("the image is no text")
                yield _text(path if name is None else str(name)), fetch(str(source.parent), path, MAX_BYTES)
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                skipped.append(f'{where}: not a line of {{"image": "path"}} ({type(error).__name__}: {error})')
            except RowError as error:
                skipped.append(f"{where}: {error.detail}")


def _text(name: str) -> str:
    r"""A name as text that Parquet holds: bytes that are no UTF-8 become \x... Raises ValueError for no name."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _batches(rows: Iterable[tuple[str, bytes]], size: int) -> Iterator[list[tuple[str, bytes]]]:
    batch: list[tuple[str, bytes]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
