"""Record lists: streams the records of a `.jsonl` (one object per line) or of a `.json` (one list of objects)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from oasis_ray.errors import JobError
from oasis_ray.input import json_items
from oasis_ray.input.image_sources import PassedOver, text_of
from oasis_ray.text_files import open_text

NO_RECORD = "not a record"
EXPECTED = "a .json must be a list of records, [{…}, {…}]"
SHOWN = 200  # characters of a parser's message, which may quote what it can't read

Record = dict[str, Any]


class RecordError(ValueError):
    """A record can't be used. `reason` is a fixed phrase, by which records are counted; `detail` describes the case."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(reason, detail)


def is_list(source: Path) -> bool:
    """Whether a file is a list of records by its name."""
    return source.suffix in (".jsonl", ".json") and source.is_file()


def place_of(source: Path, number: int) -> str:
    """Place of a record in messages: its file and line, or its file and position in the list, counted from 1."""
    return f"{text_of(source.name)}, {'line' if source.suffix == '.jsonl' else 'record'} {number}"


def read_records(source: Path, passed: PassedOver) -> Iterator[tuple[int, Record]]:
    """Yield the records of a list with their line or position. Everything else in it is added to `passed`.

    Raises JobError if the file is UTF-16, and for a `.json` that is not a list or can't be read to its end.
    """
    with source.open("rb") as stream:
        open_text(stream, str(source))
        for number, item in _lines(stream) if source.suffix == ".jsonl" else _items(stream, source):
            problem = _problem(item)
            if problem is None:
                yield number, item
            else:
                passed.add(place_of(source, number), NO_RECORD, problem)


def _problem(item: json_items.Item) -> str | None:
    if isinstance(item, Exception):
        return str(item)[:SHOWN]
    if not isinstance(item, dict):
        return "not an object"
    try:
        "".join(item).encode()
    except UnicodeEncodeError as error:
        return f"a key: {error}"
    return None


def _lines(stream: BinaryIO) -> Iterator[tuple[int, json_items.Item]]:
    return ((number, json_items.parse(line.rstrip())) for number, line in enumerate(stream, start=1) if line.strip())


def _items(stream: BinaryIO, source: Path) -> Iterator[tuple[int, json_items.Item]]:
    start = stream.tell()
    try:
        found = json_items.kind_of_document(stream)
        if found != json_items.LIST:
            remedy = f"; rename it to {source.stem}.jsonl" if found == json_items.LINES else ""
            raise JobError([f"{source} is {found}; {EXPECTED}{remedy}"])
        stream.seek(start)
        yield from enumerate(json_items.items(stream), start=1)
    except ValueError as error:
        raise JobError([f"{source} can't be read as JSON ({str(error)[:SHOWN]}); {EXPECTED}"]) from None
