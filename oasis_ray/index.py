"""The index of a run: a DuckDB table with a small row for each row that has ended, so that millions are quickly sifted.

It holds what a row is found by: id, fate, node, reason, scores, language, the opening of what was said, and where in
which part the row stands. Pictures and whole texts stay in the parts. Parts that appear, go or are written anew while
a run goes on are seen by `refresh`. Values are always bound; the only names put into SQL are those of columns, quoted.
"""

import glob
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from oasis_ray.errors import JobError
from oasis_ray.job import expand
from oasis_ray.rows import Fate

SAID_CHARS = 200
READ_ROWS = 32  # at a time, to come to one row of a part: pictures are large
Part = tuple[str, str]
FIELDS = "id, fate, node, reason, language, scores, said, part, place"


def open_database() -> duckdb.DuckDBPyConnection:
    """A database in memory for one or more indexes. It fetches no extensions."""
    db = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    db.execute("SET enable_progress_bar = false")
    db.execute(f"CREATE TYPE fate AS ENUM {tuple(map(str, Fate))}")
    return db


class Index:
    """The table `name` over the parts of a local run folder. `unreadable` says which parts are left out, and why.

    `changes` counts how often a refresh has found other parts than before.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection, folder: str, name: str = "ends") -> None:
        if "://" in folder:
            raise JobError([f"{folder} is not on this machine; copy the run folder here and name the copy"])
        self.folder, self.name = Path(expand(folder)), name
        self.unreadable: dict[Part, str] = {}
        self.changes = 0
        self._db = db
        self._known: dict[Part, tuple[int, int]] = {}
        db.execute(
            f"CREATE TABLE {name} (id VARCHAR, fate fate, node VARCHAR, reason VARCHAR, language VARCHAR, "
            "scores MAP(VARCHAR, BIGINT), said VARCHAR, part VARCHAR, place BIGINT)"
        )
        self.refresh()

    def refresh(self) -> None:
        """Take up the parts as they are now."""
        now = self._parts()
        gone = [part for part, state in self._known.items() if now.get(part) != state]
        new = [part for part, state in now.items() if self._known.get(part) != state]
        for part in gone:
            self._db.execute(f"DELETE FROM {self.name} WHERE fate = ? AND part = ?", part)  # noqa: S608
            self.unreadable.pop(part, None)
        for fate in Fate:
            self._add(fate, [name for of, name in new if of == fate])
        self._known = now
        self.changes += bool(gone or new)

    def row(self, fate: str, part: str, place: int, columns: list[str] | None = None) -> dict[str, Any]:
        """One whole row of a part, or these columns of it; without `columns` all but the picture.

        Raises LookupError where the part has gone or been written anew since the last refresh.
        """
        path = self.folder / fate / part
        try:
            state = path.stat()
            if self._known.get((fate, part)) != (state.st_mtime_ns, state.st_size):
                raise LookupError(f"{fate}/{part} has been written anew")
            with pq.ParquetFile(path) as file:
                names = [name for name in file.schema_arrow.names if name != "image"]
                for batch in file.iter_batches(READ_ROWS, columns=names if columns is None else columns):
                    if place < batch.num_rows:
                        found: dict[str, Any] = batch.slice(place, 1).to_pylist()[0]
                        return found
                    place -= batch.num_rows
        except FileNotFoundError:
            raise LookupError(f"{fate}/{part} is no longer there") from None
        except pa.ArrowException as error:
            raise LookupError(f"{fate}/{part} can't be read: {error}") from None
        raise LookupError(f"{fate}/{part} has no row {place}")

    def find(self, text: str, table: str) -> None:
        """Write fate, part and place of every row that says `text` somewhere, in any case, into the table `table`."""
        self._db.execute(f"CREATE OR REPLACE TEMP TABLE {table} (fate fate, part VARCHAR, place BIGINT)")
        for fate in Fate:
            parts = [part for part in self._known if part[0] == fate and part not in self.unreadable]
            if parts:
                paths = self._paths(fate, [name for _, name in parts])
                words = ", ".join(_words(self._kinds(paths)))
                self._db.execute(
                    f"INSERT INTO {table} SELECT ?, parse_filename(filename), file_row_number FROM {SCAN} "  # noqa: S608
                    f"WHERE contains(lower(concat_ws(chr(10), {words})), lower(?))",
                    [str(fate), paths, text],
                )

    def _parts(self) -> dict[Part, tuple[int, int]]:
        found = {}
        for fate in Fate:
            for path in sorted((self.folder / fate).glob("part-*.parquet")):
                state = path.stat()
                found[str(fate), path.name] = (state.st_mtime_ns, state.st_size)
        return found

    def _add(self, fate: Fate, names: list[str]) -> None:
        """Add the rows of these parts; where one can't be read, each by itself, and say of which it is."""
        if not names:
            return
        try:
            paths = self._paths(fate, names)
            select, values = _selection(self._kinds(paths))
            self._db.execute(
                f"INSERT INTO {self.name} ({FIELDS}) SELECT id, ?, {select}, parse_filename(filename), file_row_number "  # noqa: S608
                f"FROM {SCAN}",
                [str(fate), *values, paths],
            )
        except duckdb.Error as error:
            if len(names) == 1:
                self.unreadable[str(fate), names[0]] = str(error).splitlines()[0]
                return
            for name in names:
                self._add(fate, [name])

    def _paths(self, fate: Fate, names: list[str]) -> list[str]:
        return [glob.escape(str(self.folder / fate / name)) for name in names]  # DuckDB takes each for a pattern

    def _kinds(self, paths: list[str]) -> dict[str, Any]:
        """The columns of parts and their types."""
        described = self._db.execute(f"DESCRIBE SELECT * FROM {SCAN}", [paths]).fetchall()  # noqa: S608
        return {column: duckdb.type(kind) for column, kind, *_ in described}


SCAN = "read_parquet(?, union_by_name = true, filename = true, file_row_number = true)"


def _selection(kinds: dict[str, Any]) -> tuple[str, list[Any]]:
    """SQL for node, reason, language, scores and said, from the columns that there are, and the values it binds."""
    fields = [(node, field, kind) for node, written in _fields(kinds.get("nodes")) for field, kind in _fields(written)]
    said = [f"nodes.{_name(node)}.{_name(field)}"
            for wanted in ("instruction", "text") for node, field, kind in fields
            if field == wanted and kind == "VARCHAR"]  # fmt: skip
    said = ["instruction"] * ("instruction" in kinds) + said
    spoken = [
        f"nodes.{_name(node)}.language" for node, field, kind in fields if (field, kind) == ("language", "VARCHAR")
    ]
    judges = [node for node, field, kind in fields if (field, kind) == ("score", "BIGINT")]
    columns = [
        *(name if name in kinds else "NULL" for name in ("node", "reason")),
        f"coalesce({', '.join([*spoken, 'NULL'])})",
        f"map(?::VARCHAR[], [{', '.join(f'nodes.{_name(node)}.score' for node in judges)}]::BIGINT[])",
        f"left(coalesce({', '.join([*said, 'NULL'])}), {SAID_CHARS})",
    ]
    return ", ".join(columns), [judges]


def _words(kinds: dict[str, Any]) -> list[str]:
    """SQL for every text of a row: its own, and what the nodes wrote."""
    own = ["id", "instruction", "response", "detail", "error"]
    written = [(f"nodes.{_name(node)}.{_name(field)}", kind)
               for node, fields in _fields(kinds.get("nodes")) for field, kind in _fields(fields)]  # fmt: skip
    return [
        *(name for name in own if name in kinds),
        *(place for place, kind in written if kind == "VARCHAR"),
        *(f"array_to_string({place}, chr(10))" for place, kind in written if kind == "VARCHAR[]"),
    ]


def _fields(kind: Any) -> list[tuple[str, Any]]:
    return kind.children if kind is not None and kind.id == "struct" else []


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
