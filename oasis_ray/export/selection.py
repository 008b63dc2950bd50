"""Which rows go into an export, and in what order: one pass over ids, digests and other light columns, no pictures.

The order is that of a hash of seed and id, so it does not depend on how the rows lie in parts. Filters take rows in
this order: of two that are alike the first stays, and a cap keeps the first N. A row's split hangs on a hash of its
picture, so that no picture stands in two splits, and stays where it is when the run grows.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oasis_ray.errors import JobError, RunError
from oasis_ray.export.language import detect, node_of, written
from oasis_ray.export.options import Options
from oasis_ray.input.ids import numbered, repeated
from oasis_ray.output.parts import parts
from oasis_ray.output.removed_rows import REMOVED
from oasis_ray.types import Outcome

UNKNOWN = "unknown"  # the origin of a row that has none


@dataclass(frozen=True)
class Part:
    """A part of a run, of accepted rows or captions; bytes are those of its columns, unpacked."""

    run: int
    outcome: Outcome
    fs: Any
    path: str
    schema: pa.Schema
    image_bytes: int
    text_bytes: int


@dataclass
class Selection:
    """The rows of an export: part, row, id, outcome, split, language; by split and in shuffled order."""

    parts: list[Part]
    rows: pa.Table
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def axes(self) -> list[str]:
        """The axes on which any part has scores, as they first come."""
        scored = [part.schema.field("scores").type for part in self.parts if "scores" in part.schema.names]
        return list(dict.fromkeys(axis.name for scores in scored for axis in scores))


def choose(folders: list[str], options: Options) -> Selection:
    """The rows to export. Raises JobError where there are none, or a cap or split can't be had from them."""
    found: list[Part] = []
    tables = []
    for run, folder in enumerate(folders):
        for outcome, place in _places(options):
            for part, table in _index(run, folder, outcome, place, options):
                tables.append(table.append_column("part", pa.array([len(found)] * table.num_rows, pa.int32())))
                found.append(part)
    if not sum(table.num_rows for table in tables):
        raise JobError(["there is nothing to export: these runs hold no accepted rows and no captions"])
    rows = _without_repeats(pa.concat_tables(tables))
    order = [_hash(options.seed, "order", name) for name in rows.column("id").to_pylist()]
    rows = rows.append_column("order", pa.array(order, pa.uint64())).sort_by(
        [("order", "ascending"), ("id", "ascending")]
    )
    selection = Selection(found, rows)
    _filter(selection, options)
    _split(selection, options)
    return selection


def _places(options: Options) -> Iterator[tuple[Outcome, str]]:
    """The folders of a run that hold rows to export, each with its outcome."""
    for outcome in (Outcome.ACCEPTED, Outcome.CAPTIONS):
        yield outcome, str(outcome)
        if options.removed:
            yield outcome, f"{REMOVED}/{outcome}"


def _index(run: int, folder: str, outcome: Outcome, place: str, options: Options) -> Iterator[tuple[Part, pa.Table]]:
    """The parts in one folder of a run, each with its light columns."""
    fs, paths = parts(folder, place)
    for path in paths:
        try:
            with fs.open(path, "rb") as stream:
                file = pq.ParquetFile(stream)
                spoken = node_of(file.schema_arrow)
                wanted = ["id", "image_sha256", "origin"] + ([f"nodes.{spoken}"] if spoken else [])
                if options.dedup == "text" or "language" in options.caps:
                    wanted += ["instruction", "response"]
                table = file.read(columns=wanted)
        except (pa.ArrowException, OSError) as error:
            raise RunError(f"{path} can't be read: {error}; `oasis-ray audit` says more") from None
        part = Part(run, outcome, fs, path, file.schema_arrow, *_sizes(file.metadata))
        yield part, _light(table, part, spoken, options)


def _sizes(metadata: Any) -> tuple[int, int]:
    """The bytes of a part's pictures and of its other columns, unpacked."""
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    columns = [group.column(n) for group in groups for n in range(group.num_columns)]
    images = sum(column.total_uncompressed_size for column in columns if column.path_in_schema.startswith("image."))
    return images, sum(column.total_uncompressed_size for column in columns) - images


def _light(table: pa.Table, part: Part, spoken: str | None, options: Options) -> pa.Table:
    count = table.num_rows
    languages = written(table, spoken)
    if "language" in options.caps:
        pairs = zip(*(table.column(name).to_pylist() for name in ("instruction", "response")), strict=True)
        languages = [said or detect(f"{asked} {answered}")
                     for said, (asked, answered) in zip(languages.to_pylist(), pairs, strict=True)]  # fmt: skip
    columns = {
        "row": pa.array(np.arange(count), pa.int32()),
        "id": table.column("id"),
        "outcome": pa.array([str(part.outcome)] * count, pa.string()),
        "image_sha256": table.column("image_sha256"),
        "origin": table.column("origin") if "origin" in table.column_names else pa.nulls(count, pa.string()),
        "language": languages,
    }
    if options.dedup == "text":
        # Captions share a few requests to describe, so there the caption itself is what tells rows apart.
        said = table.column("instruction" if part.outcome is Outcome.ACCEPTED else "response").to_pylist()
        columns["text"] = pa.array([_text_key(text) for text in said], pa.binary())
    return pa.table(columns)


def _text_key(text: str) -> bytes:
    """The same for texts that differ in case, blanks and forms of letters alone."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return blake2b(plain.encode(), digest_size=16).digest()


def _hash(seed: int, use: str, name: str) -> int:
    return int.from_bytes(blake2b(f"{seed}\0{use}\0{name}".encode(), digest_size=8).digest())


def _without_repeats(rows: pa.Table) -> pa.Table:
    """Ids that several runs share are told apart: the second is `id#2`."""
    twice = repeated(rows.column("id"))
    if not len(twice):
        return rows
    again = dict.fromkeys(twice.to_pylist(), 0)
    names = rows.column("id").to_pylist()
    taken = set(names)
    at = rows.column_names.index("id")
    return rows.set_column(at, "id", pa.array([numbered(name, again, taken) for name in names], pa.string()))


def _filter(selection: Selection, options: Options) -> None:
    """Leave out what the options say, and count it by reason."""

    def leave_out(reason: str, keep: np.ndarray) -> None:
        if not keep.all():
            selection.left_out[reason] = int((~keep).sum())
            selection.rows = selection.rows.filter(pa.array(keep))

    if options.dedup == "text":
        leave_out("the same instruction or caption again", _rank(selection.rows.column("text")) == 0)
    if options.dedup == "image":
        known = pc.coalesce(selection.rows.column("image_sha256"), selection.rows.column("id"))
        leave_out("the same picture again", _rank(known) == 0)
    for name, most in options.caps.items():
        column = selection.rows.column(name)
        if column.null_count == len(column):
            raise JobError(["--cap origin: no row of these runs says where its picture comes from (input.origin)"])
        leave_out(f"beyond {most} rows of one {name}", _rank(pc.fill_null(column, UNKNOWN)) < most)
    if options.captions is not None:
        captions = _is(selection.rows, Outcome.CAPTIONS)
        wanted = round(options.captions * int((~captions).sum()))
        if wanted > captions.sum():
            selection.notes.append(
                f"{options.captions:g} captions an accepted row are {wanted}; there are {captions.sum()}, all are taken"
            )
        leave_out(f"captions beyond {options.captions:g} an accepted row", ~captions | (captions.cumsum() <= wanted))
    if options.limit is not None:
        leave_out(f"beyond the limit of {options.limit} rows", np.arange(selection.rows.num_rows) < options.limit)
    if not selection.rows.num_rows:
        told = ", ".join(f"{reason}: {count}" for reason, count in selection.left_out.items())
        raise JobError([f"the options leave no row to export ({told})"])


def _split(selection: Selection, options: Options) -> None:
    """Add the column `split`, and sort by it; the order inside a split stays."""
    known = pc.coalesce(selection.rows.column("image_sha256"), selection.rows.column("id")).to_pylist()
    places = np.array([_hash(options.seed, "split", name) for name in known], np.uint64) / 2.0**64
    ends = np.cumsum(list(options.splits.values()))[:-1]
    numbers = np.searchsorted(ends, places, side="right")
    empty = [name for n, name in enumerate(options.splits) if not (numbers == n).any()]
    if empty:
        raise JobError([f"--split: {len(numbers)} rows are too few; none falls to {', '.join(empty)}"])
    names = pa.array(list(options.splits)).take(pa.array(numbers))
    selection.rows = selection.rows.append_column("split", names).take(pa.array(np.argsort(numbers, kind="stable")))


def _is(rows: pa.Table, outcome: Outcome) -> np.ndarray:
    return np.asarray(pc.equal(rows.column("outcome"), str(outcome)))


def _rank(column: pa.ChunkedArray) -> np.ndarray:
    """For each value how many equal ones stand before it."""
    codes = np.asarray(column.combine_chunks().dictionary_encode().indices)
    by_code = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[by_code], codes[by_code])
    ranks = np.empty(len(codes), np.int64)
    ranks[by_code] = np.arange(len(codes)) - starts
    return ranks
