"""Ids: each row has its own, so one that comes more than once is found, and can be told apart by a number."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from heapq import nsmallest

import pyarrow as pa
import pyarrow.compute as pc

SHOWN = 5  # ids in a message


def repeated(ids: pa.ChunkedArray) -> pa.Array:
    """The ids that come more than once, each once."""
    if pc.count_distinct(ids).as_py() == len(ids):  # much the cheaper question
        return pa.array([], ids.type)
    counts = pc.value_counts(ids)
    return counts.filter(pc.greater(counts.field("counts"), 1)).field("values")


def numbered(name: str, again: dict[str, int], taken: set[str]) -> str:
    """The first `id` stays, the next ones are `id#2`, `id#3`, leaving out what the input itself uses."""
    if name not in again:
        return name
    again[name] += 1
    while again[name] > 1 and f"{name}#{again[name]}" in taken:
        again[name] += 1
    return name if again[name] == 1 else f"{name}#{again[name]}"


def some(names: Sequence[str]) -> str:
    """The first few of them, for a message."""
    return ", ".join(names[:SHOWN]) + ", …" * (len(names) > SHOWN)


def sample_of(names: Iterable[str], rows: int, seed: int) -> list[int]:
    """The places of `rows` of these ids, in order, drawn by their hashes: the same ones whatever shards they lie in."""

    def drawn(item: tuple[int, str]) -> bytes:
        return sha256(f"{seed}\0{item[1]}\0sample".encode()).digest()

    return sorted(place for place, _ in nsmallest(rows, enumerate(names), key=drawn))
