"""Compare two runs over the same input row by row, for example to tune a prompt or a threshold.

Rows are matched by id. A row has flipped if its outcome differs, and moved if its outcome, node or reason differs.
DuckDB compares two indexes; only the example rows are read in full.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from oasis_ray.errors import JobError, counted
from oasis_ray.explore.index import Index, as_json, declared_outcomes, local_path, open_database
from oasis_ray.output.manifest import read_manifest
from oasis_ray.output.manifest_diff import changes


@dataclass(frozen=True)
class Place:
    """Where a row ended: outcome, node and reason. All are None if the run does not have the row."""

    outcome: str | None
    node: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        if self.outcome is None:
            return "missing"
        return f"{self.outcome} at {self.node}: {self.reason}" if self.node or self.reason else self.outcome


@dataclass(frozen=True)
class Move:
    """Number of rows that ended at `before` in the first run and at `after` in the second."""

    before: Place
    after: Place
    rows: int


@dataclass(frozen=True)
class Shift:
    """Scores of an axis over the rows scored in both runs: the means, and the numbers of higher and lower scores."""

    axis: str
    rows: int
    before: float
    after: float
    up: int
    down: int


@dataclass(frozen=True)
class Side:
    """A row in one of the runs: where it ended, its opening text, and the text that explains why."""

    place: Place
    said: str
    why: str


@dataclass(frozen=True)
class Example:
    """A row that moved, in both runs."""

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
    """Comparison of two runs. `possible_outcomes` are those that one of the two declares, in order.

    Raises JobError if one of them is not a run on this machine or has duplicate ids, or if they have no row in common.
    """

    def __init__(self, before: str, after: str) -> None:
        manifests = [read_manifest(str(local_path(folder))) for folder in (before, after)]
        self.changes = changes(*manifests)
        self.possible_outcomes = declared_outcomes(*manifests)
        self._db = open_database(self.possible_outcomes)
        self._indexes = [
            Index(self._db, folder, declared_outcomes(manifest), name)
            for folder, manifest, name in zip((before, after), manifests, ("before", "after"), strict=True)
        ]
        self.notes = [
            f"skipped, can't be read: {index.folder}/{outcome}/{part}: {why}"
            for index in self._indexes
            for (outcome, part), why in index.unreadable.items()
        ]
        for index in self._indexes:
            query = f"SELECT id FROM {index.name} GROUP BY id HAVING count(*) > 1"  # noqa: S608
            duplicates = self._db.execute(query).fetchall()
            if duplicates:
                ids = counted(len(duplicates), "id")
                raise JobError([f"{index.folder}: {ids} ended more than once; `oasis-ray audit` lists them"])
        self._db.execute(PAIRS)
        self.rows, *self.alone = (
            self._count(where) for where in ("shared", "new.outcome IS NULL", "old.outcome IS NULL")
        )  # in both runs, only in the first, only in the second
        if not self.rows:
            sizes = [
                f"{folder} has {counted(rows, 'row')} from {manifest['input']['path']}"
                for folder, rows, manifest in zip((before, after), self.alone, manifests, strict=True)
            ]
            raise JobError([f"the runs have no row in common: {'; '.join(sizes)}; compare runs over the same input"])

    @property
    def moved(self) -> int:
        """Number of rows in both runs whose outcome, node or reason differs."""
        return self._count("moved AND shared")

    @property
    def flipped(self) -> int:
        """Number of rows in both runs whose outcome differs."""
        return self._count("old.outcome <> new.outcome")

    def outcomes(self) -> dict[tuple[str | None, str | None], int]:
        """Return row counts by outcome before and after; None stands for rows that the run does not have."""
        counts = self._db.execute(
            "SELECT old.outcome, new.outcome, count(*) FROM pairs GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        return {(before, after): rows for before, after, rows in counts}

    def moves(self) -> list[Move]:
        """Return where the rows that moved ended before and after, the most frequent move first."""
        moves = self._db.execute(
            f"SELECT {SIDES}, count(*) AS rows FROM pairs "  # noqa: S608
            "WHERE moved AND shared GROUP BY ALL ORDER BY rows DESC, 1, 2, 3, 4, 5, 6"
        ).fetchall()
        return [Move(Place(*row[:3]), Place(*row[3:6]), row[6]) for row in moves]

    def shifts(self) -> list[Shift]:
        """Return how the scores changed, one Shift per axis."""
        shifts = self._db.execute(
            "WITH scored AS (SELECT axis, old.scores[axis] AS b, new.scores[axis] AS a "
            "FROM (SELECT *, unnest(map_keys(old.scores)) AS axis FROM pairs)) "
            "SELECT axis, count(*), avg(b), avg(a), count(*) FILTER (a > b), count(*) FILTER (a < b) "
            "FROM scored WHERE a IS NOT NULL AND b IS NOT NULL GROUP BY axis ORDER BY axis"
        ).fetchall()
        return [Shift(*row) for row in shifts]

    def examples(self, shown: int) -> Iterator[Example]:
        """Yield up to `shown` rows that moved: one of each move before a second of any, changed outcomes first."""
        examples = self._db.execute(
            "SELECT id, old, new FROM (SELECT *, old.outcome <> new.outcome AS flipped, "  # noqa: S608
            f"count(*) OVER (PARTITION BY {SIDES}) AS rows, "
            f"row_number() OVER (PARTITION BY {SIDES} ORDER BY id) AS turn FROM pairs WHERE moved AND shared) "
            "ORDER BY turn, flipped DESC, rows DESC, id LIMIT ?",
            [shown],
        ).fetchall()
        for name, *pair in examples:
            yield Example(name, *(self._side(index, row) for index, row in zip(self._indexes, pair, strict=True)))

    def write(self, file: str) -> None:
        """Write the rows that moved or are in one run only to a JSON file, as a list of id, before and after.

        Raises JobError if the file can't be written.
        """
        sides = ", ".join(
            f"CASE WHEN {side}.outcome IS NOT NULL THEN struct_pack("
            f"outcome := {side}.outcome, node := {side}.node, reason := {side}.reason, "
            f"scores := {as_json(f'{side}.scores')}, said := {side}.said) END AS {name}"
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
            full_row = index.row(row["outcome"], row["part"], row["place"])
        except LookupError as error:  # the run is still writing parts
            return Side(place, row["said"] or "", f"({error})")
        return Side(place, row["said"] or "", full_row.get("detail") or full_row.get("error") or "")

    def _count(self, where: str) -> int:
        (row,) = self._db.execute(f"SELECT count(*) FROM pairs WHERE {where}").fetchall()  # noqa: S608
        return int(row[0])
