"""Index of a run: a DuckDB table with one small row per ended row, to filter millions of rows quickly.

It holds the fields to filter by (id, outcome, node, reason, scores, language), the opening of the text, and the part
and position of the row. Images and full texts stay in the parts. `refresh` picks up parts that were added, removed or
replaced while a run is active. Outcomes are those that the run's manifest declares, and sort in that order. Scores are
numbers, probabilities of nodes without a score among them; those without decimals are given as integers. Values are
always bound parameters; only the checked names of outcomes, and column names, quoted, are inserted into SQL.
"""

import glob
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from oasis_ray.errors import JobError
from oasis_ray.explore.part_texts import is_text, is_texts, quoted, words, written
from oasis_ray.output.node_scores import PROBABILITY, score_columns
from oasis_ray.output.outcomes import records_of
from oasis_ray.recipe.spec import NAME
from oasis_ray.storage import expand
from oasis_ray.types import DROPPED

SAID_CHARS = 200
READ_ROWS = 32  # batch size when reading one row of a part: images are large
Part = tuple[str, str]
FIELDS = "id, outcome, node, reason, language, scores, said, part, place"


def local_path(folder: str) -> Path:
    """Return the path of a run folder. Raises JobError if it is a URL."""
    if "://" in folder:
        raise JobError(
            [f"{folder} is not on this machine; copy the run folder to this machine and pass the path of the copy"]
        )
    return Path(expand(folder))


def declared_outcomes(*manifests: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the outcomes of one or more runs, in order: the names of their records, then `rejected` and `failed`.

    Raises JobError for a name that no recipe can declare: a manifest from someone else could name any path.
    """
    records = dict.fromkeys(name for manifest in manifests for name in records_of(manifest))
    for name in records:
        if not re.fullmatch(NAME, name):
            raise JobError([f"run.json declares a record {name!r}; use lower-case letters, digits and _"])
    return tuple(dict.fromkeys((*records, *DROPPED)))


def open_database(outcomes: Sequence[str]) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database for one or more indexes, with a type `outcome` of these `declared_outcomes`.

    It never downloads extensions.
    """
    db = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    db.execute("SET enable_progress_bar = false")
    db.execute(f"CREATE TYPE outcome AS ENUM {tuple(outcomes)}")
    return db


class Index:
    """Index table `name` over the parts of a local run folder that belong to these outcomes.

    `unreadable` maps the parts that the table or a search had to skip to the cause. `changes` counts the refreshes that
    found different parts.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection, folder: str, outcomes: Sequence[str], name: str = "ends") -> None:
        self.folder, self.outcomes, self.name = local_path(folder), outcomes, name
        self.unreadable: dict[Part, str] = {}
        self.changes = 0
        self._db = db
        self._known: dict[Part, tuple[int, int]] = {}
        self._schemas: dict[Part, pa.Schema] = {}
        db.execute(
            f"CREATE TABLE {name} (id VARCHAR, outcome outcome, node VARCHAR, reason VARCHAR, language VARCHAR, "
            "scores MAP(VARCHAR, DOUBLE), said VARCHAR, part VARCHAR, place BIGINT)"
        )
        self.refresh()

    def refresh(self) -> None:
        """Update the table to the parts as they are now."""
        now = self._parts()
        gone = [part for part, state in self._known.items() if now.get(part) != state]
        new = [part for part, state in now.items() if self._known.get(part) != state]
        for part in gone:
            self._db.execute(f"DELETE FROM {self.name} WHERE outcome = ? AND part = ?", part)  # noqa: S608
            self.unreadable.pop(part, None)
            self._schemas.pop(part, None)
        for part in new:
            try:
                self._schemas[part] = pq.read_schema(self.folder.joinpath(*part)).remove_metadata()
            except (pa.ArrowException, OSError) as error:
                self.unreadable[part] = str(error).splitlines()[0]
        for (outcome, schema), names in self._by_schema(new).items():
            self._add(outcome, schema, names)
        self._known = now
        self.changes += bool(gone or new)

    def row(self, outcome: str, part: str, place: int, columns: list[str] | None = None) -> dict[str, Any]:
        """Return one row of a part: the given columns, or all except the image.

        Raises LookupError if the part was removed or replaced since the last refresh.
        """
        path = self.folder / outcome / part
        try:
            state = path.stat()
            if self._known.get((outcome, part)) != (state.st_mtime_ns, state.st_size):
                raise LookupError(f"{outcome}/{part} was replaced")
            with pq.ParquetFile(path) as file:
                names = [name for name in file.schema_arrow.names if name != "image"]
                for batch in file.iter_batches(READ_ROWS, columns=names if columns is None else columns):
                    if place < batch.num_rows:
                        row: dict[str, Any] = batch.slice(place, 1).to_pylist()[0]
                        return row
                    place -= batch.num_rows
        except FileNotFoundError:
            raise LookupError(f"{outcome}/{part} no longer exists") from None
        except pa.ArrowException as error:
            raise LookupError(f"{outcome}/{part} can't be read: {error}") from None
        raise LookupError(f"{outcome}/{part} has no row {place}")

    def find(self, text: str, table: str) -> None:
        """Search `text`, ignoring case, and write outcome, part and position of every match to the table `table`."""
        self._db.execute(f"CREATE OR REPLACE TEMP TABLE {table} (outcome outcome, part VARCHAR, place BIGINT)")
        for (outcome, schema), names in self._by_schema(list(self._schemas)).items():
            self._search(outcome, schema, names, text, table)

    def _parts(self) -> dict[Part, tuple[int, int]]:
        parts = {}
        for outcome in self.outcomes:
            for path in sorted((self.folder / outcome).glob("part-*.parquet")):
                state = path.stat()
                parts[outcome, path.name] = (state.st_mtime_ns, state.st_size)
        return parts

    def _by_schema(self, parts: list[Part]) -> dict[tuple[str, pa.Schema], list[str]]:
        """Group readable parts by outcome and schema. DuckDB never has to merge structs with different fields: it can
        crash on that (seen with 2.0).
        """
        schemas: dict[tuple[str, pa.Schema], list[str]] = {}
        for outcome, name in parts:
            if (outcome, name) in self._schemas:
                schemas.setdefault((outcome, self._schemas[outcome, name]), []).append(name)
        return schemas

    def _add(self, outcome: str, schema: pa.Schema, names: list[str]) -> None:
        """Add the rows of parts with one schema. If that fails, add them one by one, and record the unreadable ones."""
        select, values = _selection(schema)
        try:
            self._db.execute(
                f"INSERT INTO {self.name} ({FIELDS}) SELECT id, ?, {select}, parse_filename(filename), file_row_number "  # noqa: S608
                f"FROM {SCAN}",
                [outcome, *values, self._paths(outcome, names)],
            )
        except duckdb.Error as error:
            if len(names) == 1:
                self.unreadable[outcome, names[0]] = str(error).splitlines()[0]
                del self._schemas[outcome, names[0]]
                return
            for name in names:
                self._add(outcome, schema, [name])

    def _search(self, outcome: str, schema: pa.Schema, names: list[str], text: str, table: str) -> None:
        """Search parts with one schema. If that fails, search them one by one, and record the unreadable ones."""
        try:
            self._db.execute(
                f"INSERT INTO {table} SELECT ?, parse_filename(filename), file_row_number FROM {SCAN} "  # noqa: S608
                f"WHERE contains(lower(concat_ws(chr(10), {', '.join(words(schema))})), lower(?))",
                [outcome, self._paths(outcome, names), text],
            )
        except duckdb.Error as error:
            if len(names) == 1:
                self.unreadable[outcome, names[0]] = f"its texts could not be searched: {str(error).splitlines()[0]}"
                return
            for name in names:
                self._search(outcome, schema, [name], text, table)

    def _paths(self, outcome: str, names: list[str]) -> list[str]:
        return [
            glob.escape(str(self.folder / outcome / name)) for name in names
        ]  # DuckDB treats each path as a glob pattern


def plain(number: float | None) -> float | int | None:
    """Return a score of the table as it is shown: 5, not 5.0."""
    return int(number) if number is not None and number.is_integer() else number


def as_json(scores: str) -> str:
    """Return SQL for the scores of a row as JSON, in which those without decimals are integers."""
    whole = "e.value = trunc(e.value) AND abs(e.value) < 2^53"
    value = f"CASE WHEN {whole} THEN to_json(e.value::BIGINT) ELSE to_json(e.value) END"
    return f"map_from_entries(list_transform(map_entries({scores}), lambda e: {{k: e.key, v: {value}}}))"


SCAN = "read_parquet(?, filename = true, file_row_number = true)"


def _selection(schema: pa.Schema) -> tuple[str, list[Any]]:
    """Return SQL for node, reason, language, scores and said, from the columns of the schema, and its bound values."""
    outputs = written(schema)
    texts = {(node, field): place for node, field, place, kind in outputs if is_text(kind)}
    opening = ["instruction"] * ("instruction" in schema.names)
    opening += [place for name in ("instruction", "text") for (_, field), place in texts.items() if field == name]
    lists = [(field, place) for _, field, place, kind in outputs if is_texts(kind)]
    opening += [
        f"nullif(({place})[1], '')"
        for name in ("instruction", "text", "texts")
        for field, place in lists
        if field == name
    ]
    spoken = [place for (_, field), place in texts.items() if field == "language"]
    scores, judges = _scores(schema)
    columns = [
        *(name if name in schema.names else "NULL" for name in ("node", "reason")),
        f"coalesce({', '.join([*spoken, 'NULL'])})",
        scores,
        f"left(coalesce({', '.join([*opening, 'NULL'])}), {SAID_CHARS})",
    ]
    return ", ".join(columns), judges


def _scores(schema: pa.Schema) -> tuple[str, list[Any]]:
    """Return SQL for the scores of a row, by node, and its bound values: the names of the nodes.

    A probability is left out where it is null: nodes that do not weigh their choices have the field too.
    """
    judges = [column for column in score_columns(schema) if not column.listed]
    entries = []
    for judge in judges:
        place = f"nodes.{quoted(judge.node)}.{quoted(judge.field)}"
        # NaN and infinity have no place on an axis.
        number = place if judge.whole else f"CASE WHEN isfinite({place}) THEN {place} END"
        kept = str(judge.field != PROBABILITY).lower()
        entries.append(f"{{k: ?::VARCHAR, v: ({number})::DOUBLE, kept: {kept}}}")
    if not entries:
        return "map([]::VARCHAR[], []::DOUBLE[])", []
    found = f"list_filter([{', '.join(entries)}], lambda e: e.kept OR e.v IS NOT NULL)"
    names, numbers = (f"list_transform({found}, lambda e: e.{part})" for part in ("k", "v"))
    return f"map({names}, {numbers})", 2 * [judge.node for judge in judges]
