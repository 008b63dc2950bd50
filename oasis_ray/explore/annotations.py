"""What people say of rows: `marks.jsonl` in the run folder, a line a mark; the last one of a person about a row counts.

    {"id": "a.png", "mark": "good", "who": "ada", "at": "2026-11-21T10:00:00+00:00"}

`mark` is `good`, `bad`, or null where the person takes the mark back. The file is only ever added to, a line at a time
and under a lock, so several people may mark a run at once. A line that was cut off, or is no mark, is passed over and
counted.
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
    """One line of the file: what `who` says of the row `id`, and when."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    mark: Literal["good", "bad"] | None
    who: str
    at: str


@dataclass
class Marks:
    """The marks of a run that count, by row and person, and how many lines are no marks."""

    latest: dict[tuple[str, str], Mark] = field(default_factory=dict)
    skipped: int = 0


def read(folder: Path) -> Marks:
    """The marks in a run folder; none where nobody has marked anything."""
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
    """Write down what `who` says of the row called `name`. It is on the disk when this returns.

    Raises JobError where the file can't be written.
    """
    made = Mark(id=name, mark=mark, who=who, at=now())
    try:
        # No link is followed: in a run folder of somebody else's it could lead to any file.
        file = os.open(folder / FILE, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = os.fstat(file).st_size
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            os.write(file, b"\n" * torn + json.dumps(made.model_dump()).encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise JobError([f"{folder / FILE} can't be written: {error.strerror}"]) from None
    return made
