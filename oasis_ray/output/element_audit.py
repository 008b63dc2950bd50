"""Audit of elements: whether the columns of a part agree on the elements of lists, and how many elements they hold.

Everything is read from the run folder. Whether lists keep step is checked where the manifest says which lists belong
together, and not in rows that a node with another digest has worked on (`--accept-changes`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.errors import counted
from oasis_ray.output.counts import Counts
from oasis_ray.types import DROPPED

INCOMPLETE = "column 'elements'", "it is null, or an entry of it is incomplete"
RESTORE = "restore the part from a copy, or delete it and run the job again: its rows are then processed again"

Problem = tuple[str, str]  # a node or column, and what is wrong there


@dataclass(frozen=True)
class Lists:
    """What the manifest says of the lists of a run.

    groups: the group (`recipe.elements`) of each node with `for_each`. columns: that of values in `columns`, by record.
    """

    groups: Mapping[str, str]
    columns: Mapping[str, Mapping[str, str]]


def lists_of(manifest: Mapping[str, Any]) -> Lists:
    """Return the lists of a run, as far as the manifest says that they are the same for all rows."""
    digests: dict[str, set[str]] = {}
    for config in (manifest, *manifest["earlier"]):
        for node in config["nodes"]:
            digests.setdefault(node["name"], set()).add(node["digest"])
    groups: dict[str, str] = {}
    for node in manifest["nodes"]:
        if refs := _references(node.get("for_each", {})):
            groups[node["name"]] = _group(refs[0], groups)
    columns = {
        record: {
            name: _group(refs[0], groups)
            for name, wire in spec.get("columns", {}).items()
            if len(refs := _references(wire)) == 1
        }
        for record, spec in manifest.get("records", {}).items()
        if not manifest["earlier"]
    }
    return Lists({name: group for name, group in groups.items() if len(digests[name]) == 1}, columns)


def _references(wire: Any) -> list[str]:
    """Return the references in a value of the manifest: one, a list of them, or a mapping of these."""
    if isinstance(wire, str):
        return [wire]
    return [ref for one in (wire.values() if isinstance(wire, Mapping) else wire) for ref in _references(one)]


def _group(ref: str, groups: Mapping[str, str]) -> str:
    node = ref.partition(".")[0]
    return ref if node == "source" else groups.get(node, node)


class Results(NamedTuple):
    """The output of a node with `for_each`, without its content: its length, and the positions that are not null."""

    length: int
    positions: frozenset[int]


@dataclass(frozen=True)
class Held:
    """What the other columns of a row hold of its elements.

    results: the outputs, by node. asked: the positions that the lineage has requests for, by node. lengths: of the
    lists in `columns`, by name. record: the name of the row's record, if it is one.
    """

    record: str | None
    results: dict[str, Results] = field(default_factory=dict)
    asked: dict[str, set[int]] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)


class PartElements:
    """The elements in the parts of one outcome, from batches of their rows: their sums, and the problems of rows."""

    def __init__(self, outcome: str, lists: Lists) -> None:
        self.counts = Counts()
        self._record, self._lists = None if outcome in DROPPED else outcome, lists
        self._first: dict[str, str] = {}  # by node or column: the first row with a problem, and what is wrong
        self._rows = Counter[str]()  # by node or column: rows with a problem

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch of rows, with all columns of the part."""
        rows = zip(batch.column("id").to_pylist(), batch.column("elements").to_pylist(), self._held(batch), strict=True)
        for name, entries, held in rows:
            if not _complete(entries):
                self._note(name, INCOMPLETE)
                continue
            for entry in entries:
                self.counts.add_elements(entry)
            for problem in dict(problems(entries, held, self._lists)).items():
                self._note(name, problem)

    def faults(self) -> list[str]:
        """Return a fault for each node or column with a problem: that of the first row, and how many more rows."""
        more = {
            place: f" ({counted(rows - 1, 'more row')} with a problem there)" if rows > 1 else ""
            for place, rows in self._rows.items()
        }
        return [f"{first}{more[place]}; {RESTORE}" for place, first in self._first.items()]

    def _note(self, row: str, problem: Problem) -> None:
        place, wrong = problem
        self._rows[place] += 1
        self._first.setdefault(place, f"row '{row}', {place}: {wrong}")

    def _held(self, batch: pa.RecordBatch) -> list[Held]:
        held = [Held(self._record) for _ in range(batch.num_rows)]
        for node, lists in _lists_in(batch, "nodes"):
            there = pc.is_valid(lists.flatten()).to_pylist()
            for row, start, length in _spans(lists):
                held[row].results[node] = Results(length, frozenset(n for n in range(length) if there[start + n]))
        for column, lists in _lists_in(batch, "columns"):
            if not pa.types.is_struct(lists.type.value_type):  # turns are not elements
                for row, _, length in _spans(lists):
                    held[row].lengths[column] = length
        lineage = batch.column("lineage")
        steps = lineage.flatten()
        if steps.type.get_field_index("element") >= 0:
            asked = list(zip(steps.field("node").to_pylist(), steps.field("element").to_pylist(), strict=True))
            for row, start, length in _spans(lineage):
                for node, element in asked[start : start + length]:
                    if element is not None:
                        held[row].asked.setdefault(node, set()).add(element)
        return held


def _lists_in(batch: pa.RecordBatch, column: str) -> Iterator[tuple[str, pa.ListArray]]:
    """Yield the lists in a column of structs, by the name of their field."""
    if column in batch.schema.names and pa.types.is_struct(batch.schema.field(column).type):
        values = batch.column(column)
        for index, one in enumerate(values.type):
            if pa.types.is_list(one.type):
                yield one.name, pc.struct_field(values, [index])


def _spans(lists: pa.ListArray) -> Iterator[tuple[int, int, int]]:
    """Yield the row, the start in `flatten()` and the length of each list that is not null."""
    start = 0
    for row, length in enumerate(pc.list_value_length(lists).to_pylist()):
        if length is not None:
            yield row, start, length
            start += length


def _complete(entries: Any) -> bool:
    return entries is not None and all(
        entry is not None
        and None not in (entry["node"], entry["count"], entry["dropped"])
        and all(one and None not in (one["element"], one["outcome"], one["reason"]) for one in entry["dropped"])
        for entry in entries
    )


def problems(entries: list[dict[str, Any]], held: Held, lists: Lists) -> Iterator[Problem]:
    """Yield what is wrong with the entries of a row's column `elements`, by node or column."""
    names = [entry["node"] for entry in entries]
    missing = sorted({*held.results} - {*names})
    for name in missing:
        yield f"node '{name}'", "its output is a list, and column 'elements' has no entry for it"
    # Whether lists can be compared: their groups are known, and no problem is found that others would follow from.
    sound = not missing and all(name in lists.groups for name in names)
    last: dict[str, dict[str, Any]] = {}  # the entry of the last node, by group
    for place, entry in enumerate(entries):
        name = entry["node"]
        wrong = "column 'elements' has two entries for it" if name in names[:place] else None
        wrong = wrong or _miscounted(entry, held.results.get(name), held.asked.get(name, set()))
        if sound and not wrong and (before := last.get(lists.groups[name])):
            wrong = _out_of_step(before, entry, held.results)
        if not wrong and held.record is not None and not _kept(entry):
            wrong = f"it kept no element, but the row is in '{held.record}'"
        if wrong:
            sound = False
            yield f"node '{name}'", wrong
        if sound:
            last[lists.groups[name]] = entry
    for column, group in lists.columns.get(held.record or "", {}).items() if sound else ():
        if group in last and held.lengths.get(column, _kept(last[group])) != _kept(last[group]):
            here = f"it has {counted(held.lengths[column], 'element')}"
            yield f"value '{column}' of column 'columns'", f"{here}, but {_kept_by(last[group])}"


def _kept(entry: Mapping[str, Any]) -> int:
    return int(entry["count"]) - len(entry["dropped"])


def _kept_by(entry: Mapping[str, Any]) -> str:
    return f"node '{entry['node']}', the last that worked on this list, kept {_kept(entry)}"


def _dropped(entry: Mapping[str, Any]) -> set[int]:
    return {one["element"] for one in entry["dropped"]}


def _miscounted(entry: Mapping[str, Any], results: Results | None, asked: set[int]) -> str | None:
    """Return how an entry contradicts itself, the output of its node (if the part keeps it), or the lineage."""
    dropped, recorded = _dropped(entry), f"column 'elements' records {counted(entry['count'], 'element')}"
    if len(dropped) < len(entry["dropped"]) or _kept(entry) < 0 or min(dropped, default=0) < 0:
        positions = ", ".join(str(one["element"]) for one in entry["dropped"])
        return f"{recorded}, of which it dropped those at {positions}"
    if results is None:
        return f"{recorded}, but the lineage has requests for {len(asked)}" if len(asked) > entry["count"] else None
    worked = results.positions | dropped
    if beyond := {place for place in worked | asked if place >= results.length}:
        return f"its list has {counted(results.length, 'element')}, but no element at {min(beyond)}, which it worked on"
    if len(worked) != entry["count"]:
        return f"{recorded}, but it has an output or a reason for {len(worked)}"
    if unknown := asked - worked:
        return f"the lineage has a request for the element at {min(unknown)}, which has no output and no reason"
    return None


def _out_of_step(before: Mapping[str, Any], entry: Mapping[str, Any], results: Mapping[str, Results]) -> str | None:
    """Return how a node worked on other elements than the node before it on the same list kept."""
    if entry["count"] != _kept(before):
        return f"it worked on {counted(entry['count'], 'element')}, but {_kept_by(before)}"
    if before["node"] not in results or entry["node"] not in results:
        return None
    then, now = results[before["node"]], results[entry["node"]]
    if then.length != now.length:
        return f"its list has {now.length} positions, but that of node '{before['node']}' has {then.length}"
    if then.positions - _dropped(before) != now.positions | _dropped(entry):
        return f"it worked on other elements than node '{before['node']}' kept"
    return None
