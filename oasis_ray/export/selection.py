"""Selection of an export's rows and their order, from ids, digests and other small columns; images are not read.

Rows are ordered by a hash of seed and id, so the order does not depend on their distribution over parts. Filters apply
in this order: the first of several duplicates is kept, and a cap keeps the first N. A row's split depends on a hash of
its image, so that no image occurs in two splits, and does not change when the run grows.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oasis_ray.errors import JobError, RunError, nearest
from oasis_ray.export.options import Options
from oasis_ray.export.row_language import detect, node_of, written
from oasis_ray.input.ids import numbered, repeated
from oasis_ray.output.outcomes import kept, outcomes_in
from oasis_ray.output.parts import parts
from oasis_ray.output.removed_rows import REMOVED
from oasis_ray.types import ACCEPTED

UNKNOWN = "unknown"  # the origin of rows without one


@dataclass(frozen=True)
class Part:
    """A part of a run with rows of one record; bytes are those of its columns, uncompressed."""

    run: int
    outcome: str
    fs: Any
    path: str
    schema: pa.Schema
    image_bytes: int
    text_bytes: int
    data_sources: tuple[str, ...]


@dataclass
class Selection:
    """The rows of an export (part, row, id, outcome, split, language), by split and in shuffled order.

    `outcomes` are the names of the runs' records, in the order of their manifests.
    """

    outcomes: tuple[str, ...]
    parts: list[Part]
    rows: pa.Table
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def axes(self) -> list[str]:
        """The axes on which any part has scores, in order of appearance."""
        scored = [part.schema.field("scores").type for part in self.parts if "scores" in part.schema.names]
        return list(dict.fromkeys(axis.name for scores in scored for axis in scores))

    @property
    def data_sources(self) -> dict[str, list[str]]:
        """The values of the column `data_source` by record, sorted."""
        return {
            name: sorted({source for part in self.parts if part.outcome == name for source in part.data_sources})
            for name in self.outcomes
        }


def choose(folders: list[str], options: Options) -> Selection:
    """Return the rows to export. Raises JobError if there are none, or if an option can't be applied to them."""
    of_runs = [kept(outcomes_in(folder)) for folder in folders]
    outcomes = tuple(dict.fromkeys(name for names in of_runs for name in names))
    _check_mix(options, outcomes)
    parts_read: list[Part] = []
    tables = []
    for run, (folder, names) in enumerate(zip(folders, of_runs, strict=True)):
        for outcome, subfolder in _subfolders(names, options):
            for part, table in _index(run, folder, outcome, subfolder, options):
                tables.append(table.append_column("part", pa.array([len(parts_read)] * table.num_rows, pa.int32())))
                parts_read.append(part)
    if not sum(table.num_rows for table in tables):
        raise JobError([f"nothing to export: these runs have no rows of the records {', '.join(outcomes)}"])
    rows = _with_unique_ids(pa.concat_tables(tables))
    order = [_hash(options.seed, "order", name) for name in rows.column("id").to_pylist()]
    rows = rows.append_column("order", pa.array(order, pa.uint64())).sort_by(
        [("order", "ascending"), ("id", "ascending")]
    )
    selection = Selection(outcomes, parts_read, rows)
    _filter(selection, options)
    _split(selection, options)
    return selection


def _check_mix(options: Options, outcomes: Sequence[str]) -> None:
    """Raise JobError for each name in `options.mix` that is no record of the runs."""
    others = [name for name in outcomes if name != ACCEPTED]
    have = f"possible: {', '.join(others)}" if others else f"they have only {ACCEPTED}"
    problems = [
        f"--mix: these runs have no record {name!r} ({have}).{nearest(name, others)}"
        for name in options.mix
        if name not in others
    ]
    if problems:
        raise JobError(problems)


def _subfolders(outcomes: Sequence[str], options: Options) -> Iterator[tuple[str, str]]:
    """Yield the folders of a run that have rows to export, each with its outcome."""
    for outcome in outcomes:
        yield outcome, outcome
        if options.removed:
            yield outcome, f"{REMOVED}/{outcome}"


def _index(run: int, folder: str, outcome: str, subfolder: str, options: Options) -> Iterator[tuple[Part, pa.Table]]:
    """Yield the parts in one folder of a run, each with its small columns."""
    fs, paths = parts(folder, subfolder)
    for path in paths:
        try:
            with fs.open(path, "rb") as stream:
                file = pq.ParquetFile(stream)
                language_node = node_of(file.schema_arrow)
                wanted = ["id", "image_sha256", "origin", "data_source"]
                wanted += [f"nodes.{language_node}"] if language_node else []
                if options.dedup == "text" or "language" in options.caps:
                    wanted += ["instruction", "response"]
                table = file.read(columns=wanted)
        except (pa.ArrowException, OSError) as error:
            raise RunError(f"{path} can't be read: {error}; `oasis-ray audit` reports details") from None
        sources = tuple(table.column("data_source").unique().drop_null().to_pylist())
        part = Part(run, outcome, fs, path, file.schema_arrow, *_sizes(file.metadata), sources)
        yield part, _small_columns(table, part, language_node, options)


def _sizes(metadata: Any) -> tuple[int, int]:
    """Return the bytes of a part's images and of its other columns, uncompressed."""
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    columns = [group.column(n) for group in groups for n in range(group.num_columns)]
    images = sum(column.total_uncompressed_size for column in columns if column.path_in_schema.startswith("image."))
    return images, sum(column.total_uncompressed_size for column in columns) - images


def _small_columns(table: pa.Table, part: Part, language_node: str | None, options: Options) -> pa.Table:
    count = table.num_rows
    languages = written(table, language_node)
    if "language" in options.caps:
        pairs = zip(*(table.column(name).to_pylist() for name in ("instruction", "response")), strict=True)
        languages = [
            language or detect(f"{instruction} {response}")
            for language, (instruction, response) in zip(languages.to_pylist(), pairs, strict=True)
        ]
    columns = {
        "row": pa.array(np.arange(count), pa.int32()),
        "id": table.column("id"),
        "outcome": pa.array([part.outcome] * count, pa.string()),
        "image_sha256": table.column("image_sha256"),
        "origin": table.column("origin") if "origin" in table.column_names else pa.nulls(count, pa.string()),
        "language": languages,
    }
    if options.dedup == "text":
        # Other records may share a few instructions, so there the response is compared.
        texts = table.column("instruction" if part.outcome == ACCEPTED else "response").to_pylist()
        columns["text"] = pa.array([_text_key(text) for text in texts], pa.binary())
    return pa.table(columns)


def _text_key(text: str) -> bytes:
    """Return a key that ignores case, whitespace and Unicode compatibility forms."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return blake2b(plain.encode(), digest_size=16).digest()


def _hash(seed: int, use: str, name: str) -> int:
    return int.from_bytes(blake2b(f"{seed}\0{use}\0{name}".encode(), digest_size=8).digest())


def _with_unique_ids(rows: pa.Table) -> pa.Table:
    """Make ids unique that occur in several runs: the second is `id#2`."""
    duplicates = repeated(rows.column("id"))
    if not len(duplicates):
        return rows
    counts = dict.fromkeys(duplicates.to_pylist(), 0)
    names = rows.column("id").to_pylist()
    taken = set(names)
    at = rows.column_names.index("id")
    return rows.set_column(at, "id", pa.array([numbered(name, counts, taken) for name in names], pa.string()))


def _filter(selection: Selection, options: Options) -> None:
    """Apply the filters of the options, and count by reason what they leave out."""

    def leave_out(reason: str, keep: np.ndarray) -> None:
        if not keep.all():
            selection.left_out[reason] = int((~keep).sum())
            selection.rows = selection.rows.filter(pa.array(keep))

    if options.dedup == "text":
        leave_out("duplicate text", _rank(selection.rows.column("text")) == 0)
    if options.dedup == "image":
        images = pc.coalesce(selection.rows.column("image_sha256"), selection.rows.column("id"))
        leave_out("duplicate image", _rank(images) == 0)
    for name, most in options.caps.items():
        column = selection.rows.column(name)
        if column.null_count == len(column):
            raise JobError(["--cap origin: no row of these runs has an origin (input.origin)"])
        leave_out(f"more than {most} per {name}", _rank(pc.fill_null(column, UNKNOWN)) < most)
    accepted = int(_is(selection.rows, ACCEPTED).sum())
    for name, ratio in options.mix.items():
        some = _is(selection.rows, name)
        wanted = np.rint(ratio * accepted)
        if wanted > some.sum():
            selection.notes.append(
                f"{ratio:g} {name} per accepted row would be {wanted:.0f}; all {some.sum()} are exported"
            )
        leave_out(f"{name} beyond {ratio:g} per accepted row", ~some | (some.cumsum() <= wanted))
    if options.limit is not None:
        leave_out(f"beyond the limit of {options.limit} rows", np.arange(selection.rows.num_rows) < options.limit)
    if not selection.rows.num_rows:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in selection.left_out.items())
        raise JobError([f"the options leave no row to export ({reasons})"])


def _split(selection: Selection, options: Options) -> None:
    """Add the column `split` and sort by it, keeping the order within a split."""
    names = pc.coalesce(selection.rows.column("image_sha256"), selection.rows.column("id")).to_pylist()
    positions = np.array([_hash(options.seed, "split", name) for name in names], np.uint64) / 2.0**64
    ends = np.cumsum(list(options.splits.values()))[:-1]
    numbers = np.searchsorted(ends, positions, side="right")
    empty = [name for n, name in enumerate(options.splits) if not (numbers == n).any()]
    if empty:
        raise JobError([f"--split: too few rows ({len(numbers)}): {', '.join(empty)} would be empty"])
    splits = pa.array(list(options.splits)).take(pa.array(numbers))
    selection.rows = selection.rows.append_column("split", splits).take(pa.array(np.argsort(numbers, kind="stable")))


def _is(rows: pa.Table, outcome: str) -> np.ndarray:
    return np.asarray(pc.equal(rows.column("outcome"), outcome))


def _rank(column: pa.ChunkedArray) -> np.ndarray:
    """Return for each value the number of equal values before it."""
    codes = np.asarray(column.combine_chunks().dictionary_encode().indices)
    by_code = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[by_code], codes[by_code])
    ranks = np.empty(len(codes), np.int64)
    ranks[by_code] = np.arange(len(codes)) - starts
    return ranks
