"""Rows of a record list: a record's id, its image, and a column for every other key."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from oasis_ray.errors import JobError, counted
from oasis_ray.input.conversations import TURNS, read_conversation
from oasis_ray.input.image_sources import PassedOver, text_of
from oasis_ray.input.record_columns import as_text, converted
from oasis_ray.input.record_images import image_bytes, image_path
from oasis_ray.input.record_layout import Layout
from oasis_ray.input.record_lists import NO_RECORD, Record, RecordError, place_of, read_records

MAX_KEYS = 1000  # of all records together; more are a sign that the keys are data
MAX_NOTES = 100
FURTHER = "further keys of turns are not kept"
NO_IMAGE = "the placeholder <image> without an image"


def from_list(source: Path, roots: Sequence[str], passed: PassedOver) -> tuple[pa.Schema, Iterator[Record]]:
    """Return the schema and the rows of a list. Image paths are relative to its folder.

    The list is read twice: now for the schema, and while the rows are read. Raises JobError if it can't be read, or has
    more than `MAX_KEYS` keys.
    """
    layout = Layout()
    for number, record in read_records(source, PassedOver()):
        layout.add(record)
        if len(layout.kinds) > MAX_KEYS:
            problem = f"more than {MAX_KEYS} different keys, and each would be a column"
            raise JobError([f"{source}: the first {counted(number, 'record')} have {problem}"])
    passed.notes.extend(layout.notes())
    return layout.schema, _rows(source, roots, layout, passed)


def _rows(source: Path, roots: Sequence[str], layout: Layout, passed: PassedOver) -> Iterator[Record]:
    notes = Counter[str]()
    for number, record in read_records(source, passed):
        if not record.keys() <= layout.kinds.keys():
            raise JobError([f"{source} changed while it was read; ingest it again, into another folder"])
        try:
            values, shown, told = _values(record, layout)
            path = image_path(record, shown)
            name = f"{text_of(source.name)}:{number}" if path is None else text_of(path)
            if record.get("id") is not None:
                name = text_of(as_text(record["id"]))
            image = None if path is None else {"bytes": image_bytes(source, path, roots), "path": text_of(path)}
        except RecordError as error:
            passed.add(place_of(source, number), error.reason, error.detail)
        except (ValueError, RecursionError) as error:
            passed.add(place_of(source, number), NO_RECORD, str(error))
        else:
            for note in told if path is None else told - {NO_IMAGE}:
                notes[note if note in notes or len(notes) < MAX_NOTES else FURTHER] += 1
            yield {"id": name, "image": image, **values}
    passed.notes.extend(f"{counted(count, 'record')}: {note}" for note, count in notes.items())


def _values(record: Record, layout: Layout) -> tuple[Record, list[Any], set[str]]:
    """Return the values of a record's other columns, the images that its conversations show, and notes on them."""
    values, shown, told = Record(), list[Any](), set[str]()
    for key, kind in layout.columns.items():
        value = record.get(key)
        if kind == TURNS and value is not None:
            conversation = read_conversation(value)
            value = conversation.turns
            shown.extend(conversation.images)
            told |= {f"the key {name!r} of turns is not kept" for name in conversation.ignored}
            told |= {NO_IMAGE} if conversation.placeholders else set()
        values[key] = converted(value, kind)
    return values, shown, told
