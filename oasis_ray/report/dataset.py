"""What a report is about: a run, or a data set of someone else's. Its files, and their rows in one form.

A run is read part by part, from its light columns; of other data sets (Parquet, LLaVA's JSON) each pair of turns is a
row. A piece is some files of one kind that one task reads.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, TypeVar

import ijson
import pyarrow.parquet as pq

from oasis_ray.errors import JobError
from oasis_ray.input.listing import list_files
from oasis_ray.output.manifest import read_manifest
from oasis_ray.output.parts import parts
from oasis_ray.storage import locate
from oasis_ray.text_files import open_text
from oasis_ray.types import Outcome

PIECES = 256  # at most: what is merged in the end does not grow with the rows
BATCH = 1024  # rows that are in memory at once

T = TypeVar("T")
ENDED = ("id", "origin", "node", "reason", "instruction", "response", "image_sha256")
STEPS = ("lineage.list.element.node", "lineage.list.element.finish")
NO_PAIR = "no_pair_of_turns"  # the reason of a record of a data set without texts
HUMAN, ASSISTANT = ("human", "user"), ("gpt", "assistant")


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A row as statistics see it. `place` is its file and its number in the file, for those that are to be shown."""

    id: str
    outcome: str
    place: tuple[str, int]
    origin: str | None = None
    node: str | None = None
    reason: str | None = None
    instruction: str | None = None
    response: str | None = None
    image: str | None = None  # its SHA-256
    scores: Mapping[str, int] = field(default_factory=dict)
    cut: tuple[str, ...] = ()  # nodes whose reply was cut off


@dataclass(frozen=True)
class FileGroup:
    """Files that one task reads, all of one kind and, in a run, of one outcome."""

    root: str
    kind: Literal["part", "parquet", "json"]
    files: tuple[str, ...]
    outcome: str = str(Outcome.ACCEPTED)


@dataclass(frozen=True)
class Dataset:
    """What is reported on. `manifest` is that of a run, else None."""

    name: str
    path: str
    manifest: dict[str, Any] | None
    pieces: tuple[FileGroup, ...]


def open_dataset(path: str) -> Dataset:
    """Find what is at `path`. Raises JobError where it is neither a run nor a data set that is known."""
    fs, base = locate(path)
    name = base.rstrip("/").rpartition("/")[2] or path
    if fs.exists(f"{base.rstrip('/')}/run.json"):
        return Dataset(name, path, read_manifest(path), tuple(_run_pieces(path)))
    if base.endswith((".yaml", ".yml")):
        read_manifest(path)  # a job file: it says which run is meant
    if base.endswith((".json", ".jsonl")) and fs.exists(base):
        return Dataset(name, path, None, (FileGroup(path, "json", (base,)),))
    files = list_files(path).files
    if not files:
        raise JobError(
            [f"{path}: there is no run (a folder with run.json), no Parquet file, and no .json or .jsonl of turns"]
        )
    return Dataset(name, path, None, tuple(FileGroup(path, "parquet", some) for some in _shared_out(files)))


def _run_pieces(path: str) -> Iterator[FileGroup]:
    for outcome in Outcome:
        for some in _shared_out(parts(path, outcome)[1]):
            yield FileGroup(path, "part", some, str(outcome))


def _shared_out(files: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return map(tuple, lots(files, max(1, -(-len(files) // PIECES))))


def lots(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, `size` at a time."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def has_more_rows(subject: Dataset, than: int) -> bool:
    """Whether a subject has more than so many rows, as they are stored: rows of Parquet files, by their footers, or
    items of JSON. It stops as soon as the answer is known.
    """
    fs, _ = locate(subject.path)
    rows = 0
    for piece in subject.pieces:
        for file in piece.files:
            with fs.open(file, "rb") as stream:
                if piece.kind == "json":
                    rows += sum(1 for _ in islice(_json_items(stream, file), than + 1))
                else:
                    rows += pq.read_metadata(stream).num_rows
            if rows > than:
                return True
    return False


def read(piece: FileGroup) -> Iterator[list[ReportRow]]:
    """The rows of a piece, some at a time. Raises JobError for what can't be read."""
    fs, _ = locate(piece.root)
    for file in piece.files:
        with fs.open(file, "rb") as stream:
            rows = _json_rows(stream, file) if piece.kind == "json" else _parquet_rows(stream, file, piece)
            yield from lots(rows, BATCH)


def _parquet_rows(stream: Any, file: str, piece: FileGroup) -> Iterator[ReportRow]:
    shard = pq.ParquetFile(stream)
    if piece.kind == "parquet":
        yield from _foreign_rows(shard, file)
        return
    paths = [shard.schema.column(i).path for i in range(len(shard.schema.names))]
    scores = [path for path in paths if path.startswith("nodes.") and path.endswith(".score")]
    columns = [path for path in paths if path in (*ENDED, *STEPS, *scores)]
    at = 0
    for batch in shard.iter_batches(batch_size=BATCH, columns=columns):
        for row in batch.to_pylist():
            nodes = row.get("nodes") or {}
            yield ReportRow(
                row["id"], piece.outcome, (file, at), row.get("origin"), row.get("node"), row.get("reason"),
                row.get("instruction"), row.get("response"), row.get("image_sha256"),
                {axis: out["score"] for axis, out in nodes.items() if out and out["score"] is not None},
                tuple(step["node"] for step in row.get("lineage") or () if step["finish"] == "length"),
            )  # fmt: skip
            at += 1


def _foreign_rows(shard: pq.ParquetFile, file: str) -> Iterator[ReportRow]:
    names = shard.schema_arrow.names
    turns = next((name for name in ("conversations", "messages") if name in names), None)
    if turns is None:
        raise JobError([f"{file} has no column `conversations` or `messages`; it has: {', '.join(names)}"])
    columns = [name for name in ("id", turns, "data_source", "image_sha256") if name in names]
    at = 0
    for batch in shard.iter_batches(batch_size=BATCH, columns=columns):
        for row in batch.to_pylist():
            yield from _pairs(row, (file, at))
            at += 1


def _json_rows(stream: Any, file: str) -> Iterator[ReportRow]:
    for at, item in enumerate(_json_items(stream, file)):
        yield from _pairs(item if isinstance(item, Mapping) else {}, (file, at))


def _json_items(stream: Any, file: str) -> Iterator[Any]:
    try:
        start = open_text(stream, file).tell()
        begins = stream.read(64).lstrip()[:1]
        stream.seek(start)
        if begins == b"{" and file.endswith(".json"):
            yield from _lines_of_records(stream, file)
            return
        yield from ijson.items(stream, "item") if begins == b"[" else ijson.items(stream, "", multiple_values=True)
    except ijson.JSONError as error:
        raise JobError([f"{file} can't be read as JSON: {error}"]) from None


def _lines_of_records(stream: Any, file: str) -> Iterator[Any]:
    """The records of a .json that begins with an object: one after another, as some write them; or it is one of another
    form, which is told.
    """
    for at, item in enumerate(ijson.items(stream, "", multiple_values=True)):
        if not at and isinstance(item, Mapping) and not {"conversations", "messages"} & item.keys():
            keys = ", ".join(map(repr, list(item)[:5]))
            raise JobError([f"{file} is one object with the keys {keys}; a data set is a list of records"])
        yield item


def _pairs(item: Mapping[str, Any], place: tuple[str, int]) -> Iterator[ReportRow]:
    """A row for each question and its answer; one row without texts where there are none that can be read."""
    name = str(item.get("id") if item.get("id") is not None else f"{place[0].rpartition('/')[2]}:{place[1]}")
    turns = item.get("conversations") or item.get("messages")
    origin, digest = item.get("data_source"), item.get("image_sha256")
    asked, found = None, 0
    for turn in turns if isinstance(turns, list) else ():
        who, said = _turn(turn)
        if who in HUMAN:
            asked = said
        elif who in ASSISTANT and asked is not None:
            found += 1
            called = name if found == 1 else f"{name}#{found}"
            yield ReportRow(
                called, str(Outcome.ACCEPTED), place, origin, instruction=asked, response=said, image=digest
            )
            asked = None
    if not found:
        yield ReportRow(name, str(Outcome.FAILED), place, origin, "report", NO_PAIR)


def _turn(turn: Any) -> tuple[str, str]:
    if not isinstance(turn, Mapping):
        return "", ""
    said = turn.get("value", turn.get("content"))
    if isinstance(said, list):  # OpenAI's parts
        said = " ".join(str(part.get("text", "")) for part in said if isinstance(part, Mapping))
    return str(turn.get("from", turn.get("role", ""))), str(said or "").replace("<image>", "").strip()
