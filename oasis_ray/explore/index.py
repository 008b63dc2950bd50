"""The index of a run: a DuckDB table with a small row for each row that has ended, so that millions are quickly sifted.

It holds what a row is found by: id, outcome, node, reason, scores, language, the opening of what was said, and where in
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
from oasis_ray.storage import expand
from oasis_ray.types import Outcome

SAID_CHARS = 200
READ_ROWS = 32  # at a time, to come to one row of a part: pictures are large
Part = tuple[str, str]
FIELDS = "id, outcome, node, reason, language, scores, said, part, place"


def here(folder: str) -> Path:
    """The path of a run folder. Raises JobError where it is a URL."""
    if "://" in folder:
        raise JobError([f"{folder} is not on this machine; copy the run folder here and name the copy"])
    return Path(expand(folder))


def open_database() -> duckdb.DuckDBPyConnection:
    """A database in memory for one or more indexes. It fetches no extensions."""
    db = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    db.execute("SET enable_progress_bar = false")
    db.execute(f"CREATE TYPE outcome AS ENUM {tuple(map(str, Outcome))}")
    return db


class Index:
    """The table `name` over the parts of a local run folder. `unreadable` says which parts are left out, there or in
    a search, and why.

    `changes` counts how often a refresh has found other parts than before.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection, folder: str, name: str = "ends") -> None:
        self.folder, self.name = here(folder), name
        self.unreadable: dict[Part, str] = {}
        self.changes = 0
        self._db = db
        self._known: dict[Part, tuple[int, int]] = {}
        self._makes: dict[Part, pa.Schema] = {}
        db.execute(
            f"CREATE TABLE {name} (id VARCHAR, outcome outcome, node VARCHAR, reason VARCHAR, language VARCHAR, "
            "scores MAP(VARCHAR, BIGINT), said VARCHAR, part VARCHAR, place BIGINT)"
        )
        self.refresh()

    def refresh(self) -> None:
        """Take up the parts as they are now."""
        now = self._parts()
        gone = [part for part, state in self._known.items() if now.get(part) != state]
        new = [part for part, state in now.items() if self._known.get(part) != state]
        for part in gone:
            self._db.execute(f"DELETE FROM {self.name} WHERE outcome = ? AND part = ?", part)  # noqa: S608
            self.unreadable.pop(part, None)
            self._makes.pop(part, None)
        for part in new:
            try:
                self._makes[part] = pq.read_schema(self.folder.joinpath(*part)).remove_metadata()
            except (pa.ArrowException, OSError) as error:
                self.unreadable[part] = str(error).splitlines()[0]
        for (outcome, make), names in self._by_make(new).items():
            self._add(outcome, make, names)
        self._known = now
        self.changes += bool(gone or new)

    def row(self, outcome: str, part: str, place: int, columns: list[str] | None = None) -> dict[str, Any]:
        """One whole row of a part, or these columns of it; without `columns` all but the picture.

        Raises LookupError where the part has gone or been written anew since the last refresh.
        """
        path = self.folder / outcome / part
        try:
            state = path.stat()
            if self._known.get((outcome, part)) != (state.st_mtime_ns, state.st_size):
                raise LookupError(f"{outcome}/{part} has been written anew")
            with pq.ParquetFile(path) as file:
                names = [name for name in file.schema_arrow.names if name != "image"]
                for batch in file.iter_batches(READ_ROWS, columns=names if columns is None else columns):
                    if place < batch.num_rows:
                        found: dict[str, Any] = batch.slice(place, 1).to_pylist()[0]
                        return found
                    place -= batch.num_rows
        except FileNotFoundError:
            raise LookupError(f"{outcome}/{part} is no longer there") from None
        except pa.ArrowException as error:
            raise LookupError(f"{outcome}/{part} can't be read: {error}") from None
        raise LookupError(f"{outcome}/{part} has no row {place}")

    def find(self, text: str, table: str) -> None:
        """Write outcome, part and place of every row that contains `text`, in any case, into the table `table`."""
        self._db.execute(f"CREATE OR REPLACE TEMP TABLE {table} (outcome outcome, part VARCHAR, place BIGINT)")
        for (outcome, make), names in self._by_make(list(self._makes)).items():
            self._search(outcome, make, names, text, table)

    def _parts(self) -> dict[Part, tuple[int, int]]:
        found = {}
        for outcome in Outcome:
            for path in sorted((self.folder / outcome).glob("part-*.parquet")):
                state = path.stat()
                found[str(outcome), path.name] = (state.st_mtime_ns, state.st_size)
        return found

    def _by_make(self, parts: list[Part]) -> dict[tuple[str, pa.Schema], list[str]]:
        """The names of readable parts by outcome and columns. DuckDB is never left to unite structs of several forms:
        it can break down over that (seen with 2.0).
        """
        makes: dict[tuple[str, pa.Schema], list[str]] = {}
        for outcome, name in parts:
            if (outcome, name) in self._makes:
                makes.setdefault((outcome, self._makes[outcome, name]), []).append(name)
        return makes

    def _add(self, outcome: str, make: pa.Schema, names: list[str]) -> None:
        """Add the rows of parts of one make; where one can't be read, each by itself, and say of which it is."""
        select, values = _selection(make)
        try:
            self._db.execute(
                f"INSERT INTO {self.name} ({FIELDS}) SELECT id, ?, {select}, parse_filename(filename), file_row_number "  # noqa: S608
                f"FROM {SCAN}",
                [outcome, *values, self._paths(outcome, names)],
            )
        except duckdb.Error as error:
            if len(names) == 1:
                self.unreadable[outcome, names[0]] = str(error).splitlines()[0]
                del self._makes[outcome, names[0]]
                return
            for name in names:
                self._add(outcome, make, [name])

    def _search(self, outcome: str, make: pa.Schema, names: list[str], text: str, table: str) -> None:
        """Search parts of one make; where the texts of one can't be read, each by itself, and say of which it is."""
        try:
            self._db.execute(
                f"INSERT INTO {table} SELECT ?, parse_filename(filename), file_row_number FROM {SCAN} "  # noqa: S608
                f"WHERE contains(lower(concat_ws(chr(10), {', '.join(_words(make))})), lower(?))",
                [outcome, self._paths(outcome, names), text],
            )
        except duckdb.Error as error:
            if len(names) == 1:
                self.unreadable[outcome, names[0]] = f"its texts are not searched: {str(error).splitlines()[0]}"
                return
            for name in names:
                self._search(outcome, make, [name], text, table)

    def _paths(self, outcome: str, names: list[str]) -> list[str]:
        return [glob.escape(str(self.folder / outcome / name)) for name in names]  # DuckDB takes each for a pattern


SCAN = "read_parquet(?, filename = true, file_row_number = true)"


def _selection(make: pa.Schema) -> tuple[str, list[Any]]:
    """SQL for node, reason, language, scores and said, from the columns that there are, and the values it binds."""
    written = _written(make)
    texts = {(node, field): place for node, field, place, kind in written if _is_text(kind)}
    said = ["instruction"] * ("instruction" in make.names)
    said += [place for wanted in ("instruction", "text") for (_, field), place in texts.items() if field == wanted]
    spoken = [place for (_, field), place in texts.items() if field == "language"]
    judges = {node: place for node, field, place, kind in written if field == "score" and pa.types.is_integer(kind)}
    columns = [
        *(name if name in make.names else "NULL" for name in ("node", "reason")),
        f"coalesce({', '.join([*spoken, 'NULL'])})",
        f"map(?::VARCHAR[], [{', '.join(judges.values())}]::BIGINT[])",
        f"left(coalesce({', '.join([*said, 'NULL'])}), {SAID_CHARS})",
    ]
    return ", ".join(columns), [list(judges)]


def _words(make: pa.Schema) -> list[str]:
    """SQL for every text of a row: its own, and what the nodes wrote."""
    written = _written(make)
    return [
        *(name for name in ("id", "instruction", "response", "detail", "error") if name in make.names),
        *(place for *_, place, kind in written if _is_text(kind)),
        *(f"array_to_string({place}, chr(10))" for *_, place, kind in written
          if pa.types.is_list(kind) and _is_text(kind.value_type)),
    ]  # fmt: skip


def _written(make: pa.Schema) -> list[tuple[str, str, str, pa.DataType]]:
    """What the nodes wrote: node, field, SQL for the field, and its type."""
    nodes = make.field("nodes").type if "nodes" in make.names else pa.null()
    return [
        (node.name, field.name, f"nodes.{_quoted(node.name)}.{_quoted(field.name)}", field.type)
        for node in (nodes if pa.types.is_struct(nodes) else ())
        for field in (node.type if pa.types.is_struct(node.type) else ())
    ]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
