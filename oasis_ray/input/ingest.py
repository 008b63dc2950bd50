"""Ingest: writes Parquet shards from a folder of images, a tar, or a list of records (.jsonl, .json)."""

import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from oasis_ray.errors import JobError
from oasis_ray.input.columns import IMAGE
from oasis_ray.input.image_sources import Image, PassedOver, from_folder, from_tar
from oasis_ray.input.list_rows import from_list
from oasis_ray.input.record_lists import is_list
from oasis_ray.storage import check_target

SCHEMA = pa.schema({"id": pa.string(), "image": IMAGE})
PASSED_OVER = "passed-over.jsonl"  # beside the shards: one line per skipped file or record

Row = dict[str, Any]


@dataclass(frozen=True)
class Ingested:
    """Result of an ingest: rows and shards written; skipped files and records by reason, and their names."""

    rows: int
    shards: int
    passed_over: dict[str, int] = field(default_factory=dict)
    names: tuple[tuple[str, str], ...] = ()
    repeated: tuple[str, ...] = ()  # ids that occur more than once
    without_image: int = 0  # rows
    notes: tuple[str, ...] = ()  # what of the rows is not kept as it was


def ingest(source: Path, out: Path, *, rows_per_shard: int = 1000, roots: Sequence[str] = ()) -> Ingested:
    """Write shards `out/shard-00000.parquet` etc. with the columns id and image, and those of the records of a list.

    The id of an image is its path below the folder or inside the tar, or the id in the list. Links are followed within
    the source and `roots`. Skipped files are listed in `out/passed-over.jsonl`. Raises JobError if there are no rows,
    or if `out` already contains shards.
    """
    check_target("OUT", str(out))
    if any(out.glob("*.parquet")):
        raise JobError([f"{out} already contains Parquet files; name another folder"])
    passed = PassedOver()
    ids = _Ids()
    count = shards = without = 0
    schema, rows = _rows(source, roots, passed)
    for batch in _batches(ids.record(rows), rows_per_shard):
        table = pa.Table.from_pylist(batch, schema)
        out.mkdir(parents=True, exist_ok=True)
        # Small row groups: a run reads and resumes shards by row group.
        pq.write_table(table, out / f"shard-{shards:05d}.parquet", row_group_size=100)
        count, shards = count + len(batch), shards + 1
        without += sum(row["image"] is None for row in batch)
    if not count:
        nothing = "no records that can be used" if is_list(source) else "no images"
        raise JobError([f"{source} contains {nothing}", *(f"{name}: {reason}" for name, reason in passed.names[:5])])
    if passed.names:
        lines = (json.dumps({"name": name, "reason": reason}, ensure_ascii=False) for name, reason in passed.names)
        (out / PASSED_OVER).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Ingested(
        count, shards, dict(passed.reasons.most_common()), tuple(passed.names), tuple(ids.repeated),
        without, tuple(passed.notes),
    )  # fmt: skip


def tarfile_like(path: Path) -> bool:
    """Whether the file is a tar, compressed or not."""
    return path.is_file() and tarfile.is_tarfile(path)


def _rows(source: Path, roots: Sequence[str], passed: PassedOver) -> tuple[pa.Schema, Iterator[Row]]:
    """Return the rows of a source, and the schema of their shards."""
    if source.is_dir():
        return SCHEMA, _of_images(from_folder(source, roots, passed))
    if is_list(source):
        return from_list(source, roots, passed)
    if tarfile_like(source):
        return SCHEMA, _of_images(from_tar(source, passed))
    raise JobError([f"{source} is not a folder, a tar, a .jsonl or a .json"])


def _of_images(images: Iterable[Image]) -> Iterator[Row]:
    return ({"id": name, "image": {"bytes": data, "path": name}} for name, data in images)


class _Ids:
    """Records ids that occur more than once, with eight bytes of memory per id."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self.repeated: Counter[str] = Counter()

    def record(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows unchanged."""
        for row in rows:
            name = row["id"]
            digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            if digest in self._seen:
                self.repeated[name] += 1
            self._seen.add(digest)
            yield row


def _batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
