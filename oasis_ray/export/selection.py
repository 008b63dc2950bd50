"""Selection of an export's rows and their order, from ids, digests and other small columns; images are not read.

Rows are ordered by a hash of seed and id, so the order does not depend on their distribution over parts. Filters apply
in this order: the first of several duplicates is kept, and a cap keeps the first N. A row's split depends on a hash of
its image, so that no image occurs in two splits, and does not change when the run grows.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.errors import JobError, nearest
from oasis_ray.export import exchanges, values
from oasis_ray.export.compared import compared_of
from oasis_ray.export.index import Part, read_index
from oasis_ray.export.options import Options
from oasis_ray.export.run_names import run_names
from oasis_ray.input.ids import numbered, repeated
from oasis_ray.output.manifest import read_manifest
from oasis_ray.output.outcomes import kept, outcomes_of
from oasis_ray.output.removed_rows import REMOVED
from oasis_ray.types import ACCEPTED

UNKNOWN = "unknown"  # the origin of rows without one
IRREGULAR = "turns that are not question and answer in turn"
Kind = tuple[int, str]  # run and record


@dataclass
class Selection:
    """The rows of an export (part, row, id, outcome, split, language), by split and in shuffled order.

    With `--pairs` a row is an exchange: `exchange` is its number in the record, `record` the id of that.
    `outcomes` are the names of the runs' records, in the order of their manifests. `structs` are the types of `scores`
    and `columns`, if the format has them. `per_exchange` are the lists, by run and record, that go with the exchanges.
    """

    outcomes: tuple[str, ...]
    parts: list[Part]
    rows: pa.Table
    structs: Mapping[str, pa.StructType] = field(default_factory=dict)
    per_exchange: Mapping[Kind, frozenset[values.Field]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def data_sources(self) -> dict[str, list[str]]:
        """The values of the column `data_source` by record, sorted."""
        return {
            name: sorted({source for part in self.parts if part.outcome == name for source in part.data_sources})
            for name in self.outcomes
        }


def choose(folders: list[str], options: Options) -> Selection:
    """Return the rows to export. Raises JobError if there are none, or if an option can't be applied to them."""
    manifests = [read_manifest(folder) for folder in folders]
    of_runs = [kept(outcomes_of(manifest)) for manifest in manifests]
    outcomes = tuple(dict.fromkeys(name for names in of_runs for name in names))
    _check_mix(options, outcomes)
    parts_read: list[Part] = []
    tables = []
    for run, (folder, manifest, names) in enumerate(zip(folders, manifests, of_runs, strict=True)):
        compared = compared_of(manifest)
        for outcome, subfolder in _subfolders(names, options):
            for part, table in read_index(run, folder, outcome, subfolder, options, compared[outcome]):
                tables.append(table.append_column("part", pa.array([len(parts_read)] * table.num_rows, pa.int32())))
                parts_read.append(part)
    if not sum(part.rows for part in parts_read):
        raise JobError([f"nothing to export: these runs have no rows of the records {', '.join(outcomes)}"])
    rows = _with_unique_ids(pa.concat_tables(tables), options)
    order = [_hash(options.seed, "order", name) for name in rows.column("id").to_pylist()]
    rows = rows.append_column("order", pa.array(order, pa.uint64())).sort_by(
        [("order", "ascending"), ("id", "ascending")]
    )
    selection = Selection(outcomes, parts_read, rows)
    if irregular := sum(part.irregular for part in parts_read):
        selection.left_out[IRREGULAR] = irregular
    if options.has_values:
        _unite_values(selection, folders, options)
    _filter(selection, options)
    _split(selection, options)
    return selection


def _unite_values(selection: Selection, folders: Sequence[str], options: Options) -> None:
    """Set the types of the values, and the lists that go with exchanges; note those that are repeated in each."""
    lengths: dict[Kind, dict[values.Field, values.Lengths]] = defaultdict(dict)
    several: dict[Kind, int] = defaultdict(int)
    parts = [part for part in selection.parts if options.mix.get(part.outcome) != 0]
    for part in parts:
        kind = part.run, part.outcome
        several[kind] += part.several
        for name, found in part.lengths.items():
            lengths[kind][name] = lengths[kind].get(name, values.Lengths()) + found
    selection.per_exchange = {
        kind: frozenset(name for name, found in of_kind.items() if found.per_exchange)
        for kind, of_kind in lengths.items()
    }
    selection.structs = values.unite(
        [
            values.Source(
                f"{folders[part.run].rstrip('/')}/{part.outcome}",
                part.schema,
                selection.per_exchange.get((part.run, part.outcome), frozenset()),
            )
            for part in parts
        ]
    )
    names = run_names(folders)
    inner: dict[Kind, dict[values.Field, None]] = defaultdict(dict)  # a set that keeps its order
    for part in parts:
        inner[part.run, part.outcome] |= dict.fromkeys(field for field, _ in values.fields(part.schema))
    note = values.division_note(
        values.Division(
            outcome if len(folders) == 1 else f"{outcome} in run {names[run]}",
            [*of_kind], selection.per_exchange.get((run, outcome), frozenset()), several[run, outcome] > 0,
        )
        for (run, outcome), of_kind in inner.items()
    )  # fmt: skip
    selection.notes += [note] if note else []
    selection.notes += [
        f"{name} of {outcome} in run {names[run]} is repeated in each exchange: in {found.differing} of "
        f"{found.lists} records the list has another length than there are exchanges"
        for (run, outcome), of_kind in lengths.items()
        for name, found in of_kind.items()
        if 0 < found.differing < found.lists and several[run, outcome]
    ]


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


def _hash(seed: int, use: str, name: str) -> int:
    return int.from_bytes(blake2b(f"{seed}\0{use}\0{name}".encode(), digest_size=8).digest())


def _with_unique_ids(rows: pa.Table, options: Options) -> pa.Table:
    """Make ids unique that occur in several runs: the second is `id#2`. Exchanges are named after their records."""
    if not options.pairs:
        at = rows.column_names.index("id")
        return rows.set_column(at, "id", _unique(rows.column("id")))
    first = pc.equal(rows.column("exchange"), 0)
    return exchanges.name(rows, _unique(rows.column("id").filter(first)))


def _unique(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    duplicates = repeated(ids)
    if not len(duplicates):
        return ids
    counts = dict.fromkeys(duplicates.to_pylist(), 0)
    names = ids.to_pylist()
    taken = set(names)
    return pa.chunked_array([[numbered(name, counts, taken) for name in names]], pa.string())


def _filter(selection: Selection, options: Options) -> None:
    """Apply the filters of the options, and count by reason what they leave out."""

    def leave_out(reason: str, keep: np.ndarray) -> None:
        if not keep.all():
            selection.left_out[reason] = int((~keep).sum())
            selection.rows = selection.rows.filter(pa.array(keep))

    if options.dedup == "text":
        leave_out("duplicate text", _rank(selection.rows.column("text")) == 0)
    if options.dedup == "image":
        leave_out("duplicate image", _of_first(selection.rows))
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
    positions = (
        np.array([_hash(options.seed, "split", name) for name in _images(selection.rows).to_pylist()], np.uint64)
        / 2.0**64
    )
    ends = np.cumsum(list(options.splits.values()))[:-1]
    numbers = np.searchsorted(ends, positions, side="right")
    empty = [name for n, name in enumerate(options.splits) if not (numbers == n).any()]
    if empty:
        raise JobError([f"--split: too few rows ({len(numbers)}): {', '.join(empty)} would be empty"])
    splits = pa.array(list(options.splits)).take(pa.array(numbers))
    selection.rows = selection.rows.append_column("split", splits).take(pa.array(np.argsort(numbers, kind="stable")))


def _is(rows: pa.Table, outcome: str) -> np.ndarray:
    return np.asarray(pc.equal(rows.column("outcome"), outcome))


def _images(rows: pa.Table) -> pa.ChunkedArray:
    """Return the digest of each row's image, or of a row without one the id of its record."""
    return pc.coalesce(rows.column("image_sha256"), _records(rows))


def _records(rows: pa.Table) -> pa.ChunkedArray:
    """Return the id of the record that each row is, or of which it is an exchange."""
    return rows.column("record" if "record" in rows.column_names else "id")


def _of_first(rows: pa.Table) -> np.ndarray:
    """Return for each row whether it is of the first record with its image: such a record keeps all its exchanges."""
    images, records = _codes(_images(rows)), _codes(_records(rows))
    _, first = np.unique(images, return_index=True)  # codes are 0, 1, … without gaps
    of_first: np.ndarray = records == records[first][images]
    return of_first


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Return a number for each value, the same for equal values: 0, 1, … without gaps."""
    return np.asarray(column.combine_chunks().dictionary_encode().indices)


def _rank(column: pa.ChunkedArray) -> np.ndarray:
    """Return for each value the number of equal values before it."""
    codes = _codes(column)
    by_code = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[by_code], codes[by_code])
    ranks = np.empty(len(codes), np.int64)
    ranks[by_code] = np.arange(len(codes)) - starts
    return ranks
