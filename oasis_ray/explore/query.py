"""Queries of the page: the rows that match a filter, and the contents of one row.

Pagination is by (outcome, id): a page begins after the last row of the previous one, so rows that are added in between
neither shift nor repeat rows.
"""

import threading
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from oasis_ray.explore import annotations as marks
from oasis_ray.explore.index import Index, declared_outcomes, local_path, open_database, plain
from oasis_ray.output.manifest import read_manifest

SEARCH_CHARS = 1000
SHOWN = "outcome, id, node, reason, said"


class Filter(BaseModel):
    """Filter of rows. A field that is None matches all rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: str | None = None
    node: str | None = None
    reason: str | None = None
    language: str | None = None
    mark: Literal["good", "bad", "none"] | None = None
    axis: str | None = None
    least: float | None = Field(None, allow_inf_nan=False)
    most: float | None = Field(None, allow_inf_nan=False)
    text: str | None = Field(None, max_length=SEARCH_CHARS)
    after_outcome: str | None = None
    after_id: str | None = None
    limit: int = Field(100, ge=1, le=500)


class Rows:
    """Rows of a run in their current state, with the marks of `who`. A lock serializes the queries.

    `outcomes` are those that the run's manifest declares. Raises JobError if the folder is not a run on this machine.
    """

    def __init__(self, folder: str, who: str) -> None:
        self.folder, self.who = local_path(folder), who
        self._lock = threading.Lock()
        self._open(self._declared())

    def _open(self, outcomes: tuple[str, ...]) -> None:
        """Open a database and index the run in it."""
        self.outcomes = outcomes
        self._db = open_database(outcomes)
        self._index = Index(self._db, str(self.folder), outcomes)
        self._marks = marks.Marks()
        self._marks_state: tuple[int, int] | None = None
        self._db.execute('CREATE TABLE marks (id VARCHAR, who VARCHAR, mark VARCHAR, "at" VARCHAR)')
        self._searched: tuple[str, int] | None = None
        self._read_marks()

    def overview(self) -> dict[str, Any]:
        """Return the values to filter by, with row counts: outcomes, nodes, reasons, axes, languages and marks.

        `outcomes` are all outcomes of the run in order, with or without rows.
        """
        with self._lock:
            self._refresh()
            return {
                "outcomes": self.outcomes,
                "places": self._ask(
                    "SELECT outcome, node, reason, count(*) AS rows FROM ends GROUP BY ALL ORDER BY ALL"
                ),
                "axes": [
                    {**axis, "least": plain(axis["least"]), "most": plain(axis["most"])}
                    for axis in self._ask(
                        "SELECT one.key AS axis, min(one.value) AS least, max(one.value) AS most FROM "
                        "(SELECT unnest(map_entries(scores)) AS one FROM ends) WHERE one.value IS NOT NULL "
                        "GROUP BY ALL ORDER BY ALL"
                    )
                ],
                "languages": self._ask(
                    "SELECT language, count(*) AS rows FROM ends WHERE language IS NOT NULL GROUP BY ALL "
                    "ORDER BY rows DESC, language"
                ),
                "marks": self._ask(
                    "SELECT who, mark, count(*) AS rows FROM marks SEMI JOIN ends USING (id) GROUP BY ALL ORDER BY ALL"
                ),
                "skipped_marks": self._marks.skipped,
                "unreadable": [f"{outcome}/{part}: {why}" for (outcome, part), why in self._index.unreadable.items()],
            }

    def page(self, query: Filter) -> dict[str, Any]:
        """Return a page of rows ordered by (outcome, id), each with the mark of `who`, and the total number of rows."""
        with self._lock:
            if query.after_id is None:
                self._refresh()
            where, values = self._where(query)
            total = self._ask(f"SELECT count(*) AS rows FROM ends WHERE {where}", values)[0]["rows"]  # noqa: S608
            if query.after_outcome is not None and query.after_id is not None:
                where += " AND (outcome, id) > (?::outcome, ?)"
                values += [query.after_outcome, query.after_id]
            rows = self._ask(
                f"SELECT {SHOWN}, mark FROM (SELECT {SHOWN} FROM ends WHERE {where} ORDER BY outcome, id LIMIT ?) "  # noqa: S608
                "LEFT JOIN (SELECT id, mark FROM marks WHERE who = ?) USING (id) ORDER BY outcome, id",
                [*values, query.limit, self.who],
            )
            return {"rows": rows, "total": total}

    def row(self, name: str) -> dict[str, Any]:
        """Return all fields of a row except its image, and everyone's marks. Raises LookupError if the row is gone."""
        with self._lock:
            place = self._place(name)
            row = self._index.row(place["outcome"], place["part"], place["place"])
            row_marks = self._ask('SELECT who, mark, "at" FROM marks WHERE id = ? ORDER BY who', [name])
            scores = {axis: plain(score) for axis, score in place["scores"].items()}
            return {**row, "outcome": place["outcome"], "said": place["said"], "scores": scores, "marks": row_marks}

    def image(self, name: str) -> dict[str, Any]:
        """Return the image of a row as stored in its part, its digest and its source. Raises LookupError."""
        with self._lock:
            place = self._place(name)
            return self._index.row(place["outcome"], place["part"], place["place"], ["image", "image_sha256", "source"])

    def mark(self, name: str, mark: Literal["good", "bad"] | None) -> marks.Mark:
        """Save a mark of `who` and return it. Raises LookupError if the run has no such row."""
        with self._lock:
            self._place(name)
        saved = marks.append(Path(self.folder), name, mark, self.who)  # without the lock: a slow disk delays only marks
        with self._lock:
            self._read_marks()
        return saved

    def _place(self, name: str) -> dict[str, Any]:
        rows = self._ask("SELECT outcome, part, place, said, scores FROM ends WHERE id = ? LIMIT 1", [name])
        if not rows:
            raise LookupError("the run has no row with this id any more")
        return rows[0]

    def _declared(self) -> tuple[str, ...]:
        return declared_outcomes(read_manifest(str(self.folder)))

    def _refresh(self) -> None:
        if (declared := self._declared()) != self.outcomes:
            self._open(declared)  # the run was resumed with other records
        self._index.refresh()
        self._read_marks()

    def _read_marks(self) -> None:
        """Reload the marks if the file has changed."""
        try:
            stat = (self.folder / marks.FILE).stat()
            state = (stat.st_mtime_ns, stat.st_size)
        except FileNotFoundError:
            state = None
        if state == self._marks_state:
            return
        self._marks = marks.read(self.folder)
        self._db.execute("DELETE FROM marks")
        rows = [mark.model_dump() for mark in self._marks.latest.values()]
        columns = {key: [row[key] for row in rows] for key in ("id", "who", "mark", "at")}
        self._db.execute("INSERT INTO marks SELECT unnest(?), unnest(?), unnest(?), unnest(?)", [*columns.values()])
        self._marks_state = state

    def _where(self, query: Filter) -> tuple[str, list[Any]]:
        """Return the SQL condition of a filter, and its bound values."""
        terms: list[tuple[str, list[Any]]] = []
        if query.outcome is not None:
            terms.append(("outcome = ?::outcome", [query.outcome]))
        for column in ("node", "reason", "language"):
            if (value := getattr(query, column)) is not None:
                terms.append((f"{column} = ?", [value]))
        if query.axis is not None:
            least, most = query.least, query.most
            between = "coalesce(?::DOUBLE, '-infinity'::DOUBLE) AND coalesce(?::DOUBLE, 'infinity'::DOUBLE)"
            terms.append((f"scores[?] BETWEEN {between}", [query.axis, least, most]))
        if query.mark is not None:
            mine = "SELECT id FROM marks WHERE who = ?"
            terms.append(
                (f"id NOT IN ({mine})", [self.who])
                if query.mark == "none"
                else (f"id IN ({mine} AND mark = ?)", [self.who, query.mark])
            )
        if query.text:
            self._search(query.text)
            terms.append(("(outcome, part, place) IN (SELECT outcome, part, place FROM found)", []))
        where = " AND ".join(term for term, _ in terms) or "true"
        return where, [value for _, values in terms for value in values]

    def _search(self, text: str) -> None:
        """Write the rows that contain `text` to the table `found`, which is reused for the following pages."""
        if self._searched != (text, self._index.changes):
            self._index.find(text, "found")
            self._searched = (text, self._index.changes)

    def _ask(self, sql: str, values: list[Any] | None = None) -> list[dict[str, Any]]:
        answer = self._db.execute(sql, values or [])
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
