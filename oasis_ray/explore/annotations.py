"""Annotations: people's marks of rows, one per line of `marks.jsonl` in the run folder. A person's last mark counts.

    {"id": "a.png", "mark": "good", "who": "ada", "at": "2026-11-21T10:00:00+00:00"}

`mark` is `good`, `bad`, or null if the person removes the mark. Lines are only appended, one at a time and under a
lock, so several people can mark a run at the same time. Truncated and invalid lines are skipped and counted.
"""

import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from oasis_ray.errors import JobError
from oasis_ray.output.manifest import now

FILE = "marks.jsonl"


class Mark(BaseModel):
    """One line of the file: the mark of the row `id` by the person `who`, and its time."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    mark: Literal["good", "bad"] | None
    who: str
    at: str


@dataclass
class Marks:
    """Current marks of a run by row and person, and the number of invalid lines."""

    latest: dict[tuple[str, str], Mark] = field(default_factory=dict)
    skipped: int = 0


def read(folder: Path) -> Marks:
    """Return the marks in a run folder; none if the file does not exist."""
    marks = Marks()
    try:
        lines = (folder / FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return marks
    for line in filter(bytes.strip, lines):
        try:
            mark = Mark.model_validate_json(line)
        except ValidationError:
            marks.skipped += 1
            continue
        marks.latest.pop((mark.id, mark.who), None)
        if mark.mark is not None:
            marks.latest[mark.id, mark.who] = mark
    return marks


def append(folder: Path, name: str, mark: Literal["good", "bad"] | None, who: str) -> Mark:
    """Append a mark of the row `name` by the person `who`, and return it once it is on disk.

    Raises JobError if the file can't be written.
    """
    line = Mark(id=name, mark=mark, who=who, at=now())
    try:
        # O_NOFOLLOW: in a run folder from someone else a symbolic link could point to any file.
        file = os.open(folder / FILE, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = os.fstat(file).st_size
            truncated = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            os.write(file, b"\n" * truncated + json.dumps(line.model_dump()).encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise JobError([f"{folder / FILE} can't be written: {error.strerror}"]) from None
    return line
