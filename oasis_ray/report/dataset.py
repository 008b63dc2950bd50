"""Data set of a report: a run, or any other data set. Lists its files and reads their rows in one form.

Of a run only the small columns of its parts are read, and the turns of records that are conversations; of other data
sets (Parquet, LLaVA's JSON) each item is a row, with the questions and answers among its turns. A file group is a
number of files of one kind that one task reads.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, TypeVar

import pyarrow.parquet as pq

from oasis_ray.errors import JobError
from oasis_ray.input.json_items import IJSON, JSONError
from oasis_ray.input.listing import list_files
from oasis_ray.output.element_audit import lists_of
from oasis_ray.output.manifest import read_manifest
from oasis_ray.output.node_scores import Scores, score_columns, scores_of
from oasis_ray.output.outcomes import conversations_of, outcomes_of
from oasis_ray.output.parts import parts
from oasis_ray.storage import locate
from oasis_ray.text_files import open_text
from oasis_ray.types import ACCEPTED, FAILED

PIECES = 256  # maximum number of file groups per outcome: the totals to merge do not grow with the rows
BATCH = 1024  # rows in memory at a time

T = TypeVar("T")
Exchange = tuple[str, str]
ENDED = ("id", "origin", "node", "reason", "instruction", "response", "image_sha256")
STEPS = ("lineage.list.element.node", "lineage.list.element.finish")
MOVES = tuple(f"moves.list.element.{name}" for name in ("node", "route", "reason"))
TURNS = "conversations.list.element."
NO_PAIR = "no_pair_of_turns"  # reason of a record without texts
NO_TEXT = "lone_surrogate"  # reason of a record with a text that is not valid Unicode; `ingest` takes none either
HUMAN, ASSISTANT = ("human", "user"), ("gpt", "assistant")


@dataclass(frozen=True, slots=True)
class ReportRow:
    """Row as the statistics see it. `place` is its file and its index in the file, for the gallery.

    `moves` are its changes to other routes (node, route, reason); None if its part does not record them.
    """

    id: str
    outcome: str
    place: tuple[str, int]
    origin: str | None = None
    node: str | None = None
    reason: str | None = None
    instruction: str | None = None
    response: str | None = None
    image: str | None = None  # its SHA-256
    scores: tuple[Scores, ...] = ()  # of the row, and of each element of its lists
    cut: tuple[str, ...] = ()  # nodes whose reply was truncated
    moves: tuple[tuple[str, str, str], ...] | None = ()
    further: tuple[Exchange, ...] = ()  # after the first

    @property
    def exchanges(self) -> list[Exchange]:
        """The instructions of a record, each with its response."""
        return [(self.instruction or "", self.response or ""), *self.further]


@dataclass(frozen=True)
class FileGroup:
    """Files that one task reads: all of one kind and, in a run, of one outcome.

    `several`: they are parts of records that are conversations, which may have several exchanges. `lists`: the group of
    each node with `for_each`.
    """

    root: str
    kind: Literal["part", "parquet", "json"]
    files: tuple[str, ...]
    outcome: str = ACCEPTED
    several: bool = False
    lists: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """Run or other data set. `manifest` is that of a run, else None."""

    name: str
    path: str
    manifest: dict[str, Any] | None
    pieces: tuple[FileGroup, ...]

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Outcomes that its rows may have, in order: those of the run; of another data set, `accepted` and `failed`."""
        return outcomes_of(self.manifest) if self.manifest is not None else (ACCEPTED, FAILED)


def open_dataset(path: str) -> Dataset:
    """Open the run or data set at `path`. Raises JobError if it is neither."""
    fs, base = locate(path)
    name = base.rstrip("/").rpartition("/")[2] or path
    if fs.exists(f"{base.rstrip('/')}/run.json"):
        manifest = read_manifest(path)
        return Dataset(name, path, manifest, tuple(_run_groups(path, manifest)))
    if base.endswith((".yaml", ".yml")):
        read_manifest(path)  # raises JobError: the path is a job file, and the message names its run
    if base.endswith((".json", ".jsonl")) and fs.exists(base):
        return Dataset(name, path, None, (FileGroup(path, "json", (base,)),))
    files = list_files(path).files
    if not files:
        raise JobError(
            [f"{path}: there is no run (a folder with run.json), no Parquet file, and no .json or .jsonl file of turns"]
        )
    return Dataset(name, path, None, tuple(FileGroup(path, "parquet", group) for group in _groups(files)))


def _run_groups(path: str, manifest: Mapping[str, Any]) -> Iterator[FileGroup]:
    conversations, lists = conversations_of(manifest), lists_of(manifest).groups
    for outcome in outcomes_of(manifest):
        for group in _groups(parts(path, outcome)[1]):
            yield FileGroup(path, "part", group, outcome, outcome in conversations, lists)


def _groups(files: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return map(tuple, lots(files, max(1, -(-len(files) // PIECES))))


def lots(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of up to `size`."""
    rest = iter(items)
    while lot := list(islice(rest, size)):
        yield lot


def has_more_rows(dataset: Dataset, than: int) -> bool:
    """Return whether a data set has more than `than` stored rows: rows of Parquet files by their footers, or items of
    JSON. Stops as soon as the answer is known.
    """
    fs, _ = locate(dataset.path)
    rows = 0
    for group in dataset.pieces:
        for file in group.files:
            with fs.open(file, "rb") as stream:
                if group.kind == "json":
                    rows += sum(1 for _ in islice(_json_items(stream, file), than + 1))
                else:
                    rows += pq.read_metadata(stream).num_rows
            if rows > than:
                return True
    return False


def read(group: FileGroup) -> Iterator[list[ReportRow]]:
    """Yield the rows of a file group in batches. Raises JobError if a file can't be read."""
    fs, _ = locate(group.root)
    for file in group.files:
        with fs.open(file, "rb") as stream:
            rows = _json_rows(stream, file) if group.kind == "json" else _parquet_rows(stream, file, group)
            yield from lots(rows, BATCH)


def _parquet_rows(stream: Any, file: str, group: FileGroup) -> Iterator[ReportRow]:
    shard = pq.ParquetFile(stream)
    if group.kind == "parquet":
        yield from _foreign_rows(shard, file)
        return
    paths = [shard.schema.column(i).path for i in range(len(shard.schema.names))]
    scores = score_columns(shard.schema_arrow)
    of_nodes = [column.path for column in scores]
    turns = (f"{TURNS}from", f"{TURNS}value") if group.several else ()
    columns = [path for path in paths if path in (*ENDED, *STEPS, *MOVES, *of_nodes, *turns)]
    at = 0
    for batch in shard.iter_batches(batch_size=BATCH, columns=columns):
        for row in batch.to_pylist():
            yield ReportRow(
                row["id"], group.outcome, (file, at), row.get("origin"), row.get("node"), row.get("reason"),
                row.get("instruction"), row.get("response"), row.get("image_sha256"),
                scores_of(row.get("nodes"), scores, group.lists),
                tuple(step["node"] for step in row.get("lineage") or () if step["finish"] == "length"),
                _moves(row["moves"]) if "moves" in row else None,
                tuple(exchanges_of(row.get("conversations"))[1:]),
            )  # fmt: skip
            at += 1


def _moves(moves: Sequence[Mapping[str, str]] | None) -> tuple[tuple[str, str, str], ...]:
    return tuple((move["node"], move["route"], move["reason"]) for move in moves or ())


def _foreign_rows(shard: pq.ParquetFile, file: str) -> Iterator[ReportRow]:
    names = shard.schema_arrow.names
    turns = next((name for name in ("conversations", "messages") if name in names), None)
    if turns is None:
        raise JobError([f"{file} has no column `conversations` or `messages`; it has: {', '.join(names)}"])
    columns = [name for name in ("id", turns, "data_source", "image_sha256") if name in names]
    at = 0
    for batch in shard.iter_batches(batch_size=BATCH, columns=columns):
        for row in batch.to_pylist():
            yield _record(row, (file, at))
            at += 1


def _json_rows(stream: Any, file: str) -> Iterator[ReportRow]:
    for at, item in enumerate(_json_items(stream, file)):
        row = _record(item if isinstance(item, Mapping) else {}, (file, at))
        try:
            "".join([row.id, row.origin or "", *(text for pair in row.exchanges for text in pair)]).encode()
        except UnicodeEncodeError:
            name = row.id.encode("utf-8", "backslashreplace").decode()
            row = ReportRow(name, FAILED, row.place, node="report", reason=NO_TEXT)
        yield row


def _json_items(stream: Any, file: str) -> Iterator[Any]:
    try:
        start = open_text(stream, file).tell()
        begins = stream.read(64).lstrip()[:1]
        stream.seek(start)
        if begins == b"{" and file.endswith(".json"):
            yield from _lines_of_records(stream, file)
            return
        yield from IJSON.items(stream, "item") if begins == b"[" else IJSON.items(stream, "", multiple_values=True)
    except JSONError as error:
        raise JobError([f"{file} can't be read as JSON: {error}"]) from None


def _lines_of_records(stream: Any, file: str) -> Iterator[Any]:
    """Yield the records of a .json file that begins with an object, one after another (JSON Lines under that name).

    Raises JobError if the first object is not a record.
    """
    for at, item in enumerate(IJSON.items(stream, "", multiple_values=True)):
        if not at and isinstance(item, Mapping) and not {"conversations", "messages"} & item.keys():
            keys = ", ".join(map(repr, list(item)[:5]))
            raise JobError([f"{file} is one object with the keys {keys}; a data set is a list of records"])
        yield item


def _record(item: Mapping[str, Any], place: tuple[str, int]) -> ReportRow:
    """Return an item of another data set as a row: a failed one if it has no question with an answer."""
    name = str(item.get("id") if item.get("id") is not None else f"{place[0].rpartition('/')[2]}:{place[1]}")
    origin, digest = item.get("data_source"), item.get("image_sha256")
    exchanges = exchanges_of(item.get("conversations") or item.get("messages"))
    if not exchanges:
        return ReportRow(name, FAILED, place, origin, "report", NO_PAIR)
    (asked, answered), *further = exchanges
    return ReportRow(
        name, ACCEPTED, place, origin, instruction=asked, response=answered, image=digest, further=tuple(further)
    )


def exchanges_of(turns: Any) -> list[Exchange]:
    """Return each question among turns with its answer, in the form of LLaVA or of chat completions."""
    question, found = None, list[Exchange]()
    for turn in turns if isinstance(turns, list) else ():
        role, text = _turn(turn)
        if role in HUMAN:
            question = text
        elif role in ASSISTANT and question is not None:
            found.append((question, text))
            question = None
    return found


def _turn(turn: Any) -> tuple[str, str]:
    if not isinstance(turn, Mapping):
        return "", ""
    text = turn.get("value", turn.get("content"))
    if isinstance(text, list):  # content parts of OpenAI's format
        text = " ".join(str(part.get("text", "")) for part in text if isinstance(part, Mapping))
    return str(turn.get("from", turn.get("role", ""))), str(text or "").replace("<image>", "").strip()
