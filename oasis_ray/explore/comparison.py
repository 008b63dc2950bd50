"""What became of the rows of a run in another run over the same input: the way to tune a prompt or a threshold.

Rows are matched by their ids. A row flipped if it has another outcome; it moved if it has another outcome, node or
reason. The comparison is made by DuckDB over two indexes; only the rows that are shown as examples are read whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from oasis_ray.errors import JobError
from oasis_ray.explore.index import Index, here, open_database
from oasis_ray.output.manifest import read_manifest
from oasis_ray.output.manifest_diff import changes


@dataclass(frozen=True)
class Place:
    """Where a row ended; all None where the run does not have it."""

    outcome: str | None
    node: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        if self.outcome is None:
            return "not there"
        return f"{self.outcome} at {self.node}: {self.reason}" if self.node or self.reason else self.outcome


@dataclass(frozen=True)
class Move:
    """How many rows ended here before and there after."""

    before: Place
    after: Place
    rows: int


@dataclass(frozen=True)
class Shift:
    """The scores of an axis over the rows that have one in both runs: the means, and how many rose and fell."""

    axis: str
    rows: int
    before: float
    after: float
    up: int
    down: int


@dataclass(frozen=True)
class Side:
    """A row in one of the runs: where it ended, what it said, and the text that shows why."""

    place: Place
    said: str
    why: str


@dataclass(frozen=True)
class Example:
    """A row that moved, before and after."""

    id: str
    before: Side
    after: Side


PACKED = "struct_pack({})".format(
    ", ".join(f"{column} := {column}" for column in ("outcome", "node", "reason", "said", "scores", "part", "place"))
)
PAIRS = (
    "CREATE TABLE pairs AS SELECT id, old, new, "  # noqa: S608  (the columns that are written above)
    "(old.outcome, old.node, old.reason) IS DISTINCT FROM (new.outcome, new.node, new.reason) AS moved, "
    "old.outcome IS NOT NULL AND new.outcome IS NOT NULL AS shared "
    f"FROM (SELECT id, {PACKED} AS old FROM before) FULL JOIN (SELECT id, {PACKED} AS new FROM after) USING (id)"
)
SIDES = "old.outcome, old.node, old.reason, new.outcome, new.node, new.reason"


class Comparison:
    """Two runs side by side.

    Raises JobError where one of them is no run on this machine or has an id twice, or where they share no row.
    """

    def __init__(self, before: str, after: str) -> None:
        manifests = [read_manifest(str(here(folder))) for folder in (before, after)]
        self.changes = changes(*manifests)
        self._db = open_database()
        self._indexes = [Index(self._db, folder, name) for folder, name in ((before, "before"), (after, "after"))]
        self.notes = [
            f"left out, can't be read: {index.folder}/{outcome}/{part}: {why}"
            for index in self._indexes
            for (outcome, part), why in index.unreadable.items()
        ]
        for index in self._indexes:
            query = f"SELECT id FROM {index.name} GROUP BY id HAVING count(*) > 1"  # noqa: S608
            twice = self._db.execute(query).fetchall()
            if twice:
                raise JobError([f"{index.folder}: {len(twice)} ids ended more than once; `oasis-ray audit` says which"])
        self._db.execute(PAIRS)
        self.rows, *self.alone = (
            self._count(where) for where in ("shared", "new.outcome IS NULL", "old.outcome IS NULL")
        )  # in both runs, and in the first and the second alone
        if not self.rows:
            has = [
                f"{folder} has {rows} rows over {manifest['input']['path']}"
                for folder, rows, manifest in zip((before, after), self.alone, manifests, strict=True)
            ]
            raise JobError([f"no row is in both runs: {'; '.join(has)}; compare runs over the same input"])

    @property
    def moved(self) -> int:
        """Rows in both runs that have another outcome, node or reason."""
        return self._count("moved AND shared")

    @property
    def flipped(self) -> int:
        """Rows in both runs that have another outcome."""
        return self._count("old.outcome <> new.outcome")

    def outcomes(self) -> dict[tuple[str | None, str | None], int]:
        """How many rows had one outcome before and one after; None stands for rows that the run does not have."""
        found = self._db.execute(
            "SELECT old.outcome, new.outcome, count(*) FROM pairs GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        return {(was, now): rows for was, now, rows in found}

    def moves(self) -> list[Move]:
        """Where rows in both runs that moved left before and after, the most frequent move first."""
        found = self._db.execute(
            f"SELECT {SIDES}, count(*) AS rows FROM pairs "  # noqa: S608
            "WHERE moved AND shared GROUP BY ALL ORDER BY rows DESC, 1, 2, 3, 4, 5, 6"
        ).fetchall()
        return [Move(Place(*row[:3]), Place(*row[3:6]), row[6]) for row in found]

    def shifts(self) -> list[Shift]:
        """What became of the scores, an axis each."""
        found = self._db.execute(
            "WITH scored AS (SELECT axis, old.scores[axis] AS b, new.scores[axis] AS a "
            "FROM (SELECT *, unnest(map_keys(old.scores)) AS axis FROM pairs)) "
            "SELECT axis, count(*), avg(b), avg(a), count(*) FILTER (a > b), count(*) FILTER (a < b) "
            "FROM scored WHERE a IS NOT NULL AND b IS NOT NULL GROUP BY axis ORDER BY axis"
        ).fetchall()
        return [Shift(*row) for row in found]

    def examples(self, shown: int) -> Iterator[Example]:
        """Up to `shown` rows that moved: one of every move before a second of any, those of another outcome first."""
        found = self._db.execute(
            "SELECT id, old, new FROM (SELECT *, old.outcome <> new.outcome AS flipped, "  # noqa: S608
            f"count(*) OVER (PARTITION BY {SIDES}) AS rows, "
            f"row_number() OVER (PARTITION BY {SIDES} ORDER BY id) AS turn FROM pairs WHERE moved AND shared) "
            "ORDER BY turn, flipped DESC, rows DESC, id LIMIT ?",
            [shown],
        ).fetchall()
        for name, was, now in found:
            yield Example(name, *(self._side(index, row) for index, row in zip(self._indexes, (was, now), strict=True)))

    def write(self, file: str) -> None:
        """Write every row that moved, or that one run does not have, into a JSON file: a list of id, before and after.

        Raises JobError where the file can't be written.
        """
        sides = ", ".join(
            f"CASE WHEN {side}.outcome IS NOT NULL THEN struct_pack("
            f"outcome := {side}.outcome, node := {side}.node, reason := {side}.reason, scores := {side}.scores, "
            f"said := {side}.said) END AS {name}"
            for side, name in (("old", "before"), ("new", "after"))
        )
        try:
            self._db.execute(
                f"COPY (SELECT id, {sides} FROM pairs WHERE moved ORDER BY id) TO ? (FORMAT json, ARRAY true)",  # noqa: S608
                [file],
            )
        except duckdb.IOException as error:
            raise JobError([f"--json {file} can't be written: {str(error).splitlines()[0]}"]) from None

    def _side(self, index: Index, row: dict[str, Any]) -> Side:
        place = Place(row["outcome"], row["node"], row["reason"])
        try:
            whole = index.row(row["outcome"], row["part"], row["place"])
        except LookupError as error:  # the run goes on
            return Side(place, row["said"] or "", f"({error})")
        return Side(place, row["said"] or "", whole.get("detail") or whole.get("error") or "")

    def _count(self, where: str) -> int:
        (found,) = self._db.execute(f"SELECT count(*) FROM pairs WHERE {where}").fetchall()  # noqa: S608
        return int(found[0])
