"""Ids of rows: finds duplicates, and makes them unique by a number."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from heapq import nsmallest

import pyarrow as pa
import pyarrow.compute as pc

SHOWN = 5  # ids per message


def repeated(ids: pa.ChunkedArray) -> pa.Array:
    """Return the ids that occur more than once, without duplicates."""
    if pc.count_distinct(ids).as_py() == len(ids):  # much cheaper than counting values
        return pa.array([], ids.type)
    counts = pc.value_counts(ids)
    return counts.filter(pc.greater(counts.field("counts"), 1)).field("values")


def numbered(name: str, counts: dict[str, int], used: set[str]) -> str:
    """Return a unique id: the first `id` stays, the next are `id#2`, `id#3`, skipping ids that the input uses."""
    if name not in counts:
        return name
    counts[name] += 1
    while counts[name] > 1 and f"{name}#{counts[name]}" in used:
        counts[name] += 1
    return name if counts[name] == 1 else f"{name}#{counts[name]}"


def some(names: Sequence[str]) -> str:
    """Return the first few names, for a message."""
    return ", ".join(names[:SHOWN]) + ", …" * (len(names) > SHOWN)


def sample_of(names: Iterable[str], rows: int, seed: int) -> list[int]:
    """Sample `rows` ids by their hashes, independently of shards. Returns their positions, sorted."""

    def key(item: tuple[int, str]) -> bytes:
        return sha256(f"{seed}\0{item[1]}\0sample".encode()).digest()

    return sorted(index for index, _ in nsmallest(rows, enumerate(names), key=key))
