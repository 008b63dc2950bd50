"""Event log: what happened to engines, machines and rows in a session, as JSON lines for on-call engineers.

It holds ids, names and reasons, never texts of models. Only the last lines are kept; the first line counts those that
were dropped. The file is replaced atomically, so it also works on stores that can't append.
"""

import json
from collections import deque
from datetime import UTC, datetime
from typing import Any

from oasis_ray.storage import write_atomically

KEPT = 10_000  # lines, about 2 MB


class EventLog:
    """Collects the events of one session and writes them to `log/session-<session>.jsonl` of the run folder."""

    def __init__(self, folder: str, *, run: str, session: str, kept: int = KEPT) -> None:
        self._folder, self._always = folder, {"run": run, "session": session}
        self._name = f"log/session-{session}.jsonl"
        self._lines: deque[str] = deque(maxlen=kept)
        self._noted = self._written = self._gone = 0

    def note(self, event: str, *, at: float | None = None, **facts: Any) -> None:
        """Add an event that happened at `at` (seconds since 1970; default: now). Facts that are None are omitted."""
        when = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
        known = {key: value for key, value in facts.items() if value is not None}
        line = {"time": when.isoformat(timespec="milliseconds"), "event": event, **self._always, **known}
        self._lines.append(json.dumps(line, ensure_ascii=False))
        self._noted += 1

    def missed(self, events: int) -> None:
        """Count events that were dropped before they could be fetched."""
        self._gone += events

    def write(self) -> None:
        """Write the file if there are new events. Raises what the file system raises."""
        noted, lines = self._noted, list(self._lines)
        if noted == self._written:
            return
        if gone := self._gone + noted - len(lines):
            lines.insert(0, json.dumps({"event": "lines_dropped", **self._always, "lines": gone}))
        write_atomically(self._folder, self._name, "\n".join(lines) + "\n")
        self._written = noted
