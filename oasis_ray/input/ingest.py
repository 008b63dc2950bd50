"""Make Parquet shards from a folder of images, a tar, or a jsonl that lists images."""

import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from oasis_ray.errors import JobError
from oasis_ray.input.columns import IMAGE
from oasis_ray.input.image_sources import Image, PassedOver, from_folder, from_lines, from_tar
from oasis_ray.storage import check_target

SCHEMA = pa.schema({"id": pa.string(), "image": IMAGE})
PASSED_OVER = "passed-over.jsonl"  # beside the shards: a line for each file that was not taken


@dataclass(frozen=True)
class Ingested:
    """What was written, and what was not taken: the number by reason, and each name with its reason."""

    rows: int
    shards: int
    passed_over: dict[str, int] = field(default_factory=dict)
    names: tuple[tuple[str, str], ...] = ()
    repeated: tuple[str, ...] = ()  # ids that come more than once, the first few


def ingest(source: Path, out: Path, *, rows_per_shard: int = 1000, roots: Sequence[str] = ()) -> Ingested:
    """Write `out/shard-00000.parquet` and so on, with columns id and image.

    An image's id is its path below the folder or inside the tar, or what the jsonl says. Links are followed inside the
    source and `roots`. Every file that is not taken is named in `out/passed-over.jsonl`. Raises JobError where there is
    nothing to take, or `out` holds shards already.
    """
    check_target("OUT", str(out))
    if any(out.glob("*.parquet")):
        raise JobError([f"{out} holds Parquet files already; name another folder"])
    passed = PassedOver()
    ids = _Ids()
    count = shards = 0
    for batch in _batches(ids.watch(_rows(source, roots, passed)), rows_per_shard):
        table = pa.Table.from_pylist(
            [{"id": name, "image": {"bytes": data, "path": name}} for name, data in batch], SCHEMA
        )
        out.mkdir(parents=True, exist_ok=True)
        # Small row groups: a run reads, and takes up, a shard by them.
        pq.write_table(table, out / f"shard-{shards:05d}.parquet", row_group_size=100)
        count, shards = count + len(batch), shards + 1
    if not count:
        raise JobError([f"{source} holds no images", *(f"{name}: {reason}" for name, reason in passed.names[:5])])
    if passed.names:
        lines = (json.dumps({"name": name, "reason": reason}, ensure_ascii=False) for name, reason in passed.names)
        (out / PASSED_OVER).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Ingested(count, shards, dict(passed.reasons.most_common()), tuple(passed.names), tuple(ids.repeated))


def tarfile_like(path: Path) -> bool:
    """Whether the file is a tar, packed or not."""
    return path.is_file() and tarfile.is_tarfile(path)


def _rows(source: Path, roots: Sequence[str], passed: PassedOver) -> Iterator[Image]:
    if source.is_dir():
        return from_folder(source, roots, passed)
    if tarfile_like(source):
        return from_tar(source, passed)
    if source.suffix == ".jsonl" and source.is_file():
        return from_lines(source, roots, passed)
    if source.suffix == ".json" and source.is_file():
        line = f"jq -c '.[]' {source.name} > {source.stem}.jsonl"
        raise JobError([f"{source} is a JSON file; write its records one per line ({line}) and take the .jsonl"])
    raise JobError([f"{source} is none of: a folder, a tar, a .jsonl"])


class _Ids:
    """Notes ids that come more than once, by eight bytes each."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self.repeated: Counter[str] = Counter()

    def watch(self, rows: Iterable[Image]) -> Iterator[Image]:
        """The same rows."""
        for name, data in rows:
            digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            if digest in self._seen:
                self.repeated[name] += 1
            self._seen.add(digest)
            yield name, data


def _batches(rows: Iterable[Image], size: int) -> Iterator[list[Image]]:
    batch: list[Image] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
