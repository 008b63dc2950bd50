"""Values of records: the structs `scores` and `columns`, with one type for all parts of an export.

A field has the type that the recipes give it: integers beside numbers become numbers. Where `--pairs` divides records,
a list goes with the exchanges if it has one element for each of them in every record of its run; else it is repeated.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.errors import JobError
from oasis_ray.export.exchanges import element, list_lengths

STRUCTS = ("scores", "columns")
WORDS = {pa.string(): ("text", "texts"), pa.int64(): ("integer", "integers"), pa.float64(): ("number", "numbers"),
         pa.bool_(): ("yes or no", "yes or no")}  # fmt: skip


class Field(NamedTuple):
    """A field of one of the structs."""

    struct: str
    name: str

    def __str__(self) -> str:
        return f"{self.struct}.{self.name}"


@dataclass(frozen=True)
class Lengths:
    """Rows that have a list, and how many of these lists have another length than the row has exchanges."""

    lists: int = 0
    differing: int = 0

    def __add__(self, other: "Lengths") -> "Lengths":
        return Lengths(self.lists + other.lists, self.differing + other.differing)

    @property
    def per_exchange(self) -> bool:
        """Whether every list has one element for each exchange."""
        return self.lists > 0 and not self.differing


class Source(NamedTuple):
    """Where fields come from: the folder of a record in a run, and the schema of one of its parts."""

    folder: str
    schema: pa.Schema
    per_exchange: frozenset[Field] = frozenset()


class Division(NamedTuple):
    """The fields of a record of a run, those that go with exchanges, and whether some record has several of these."""

    record: str
    fields: Sequence[Field]
    per_exchange: frozenset[Field]
    several: bool


class Wanted(NamedTuple):
    """A struct as an export has it, and the lists of some rows that go with exchanges."""

    struct: str
    kind: pa.StructType
    per_exchange: frozenset[Field]


def fields(schema: pa.Schema) -> Iterator[tuple[Field, pa.DataType]]:
    """Yield the fields of the structs that a part has, with their types."""
    for struct in STRUCTS:
        kind = schema.field(struct).type if struct in schema.names else pa.null()
        for inner in kind if pa.types.is_struct(kind) else ():
            yield Field(struct, inner.name), inner.type


def lists(schema: pa.Schema) -> list[Field]:
    """Return the fields of the structs that are lists."""
    return [field for field, kind in fields(schema) if pa.types.is_list(kind)]


def lengths(rows: pa.Table, wanted: Iterable[Field], exchanges: np.ndarray) -> dict[Field, Lengths]:
    """Return the lengths of lists in rows of so many exchanges. Rows without exchanges do not count."""
    found = {}
    for field in wanted:
        column = pc.struct_field(rows.column(field.struct).combine_chunks(), field.name)
        there = np.asarray(pc.is_valid(column)) & (exchanges > 0)
        differing = there & (list_lengths(column) != exchanges)
        found[field] = Lengths(int(there.sum()), int(differing.sum()))
    return found


def division_note(divisions: Iterable[Division]) -> str | None:
    """Return which fields were split by exchange and which were repeated whole. None if no record was divided."""
    split, whole = defaultdict[Field, list[str]](list), defaultdict[Field, list[str]](list)
    for division in divisions:
        for field in division.fields:
            if field in division.per_exchange:
                split[field].append(division.record)
            elif division.several:
                whole[field].append(division.record)
    if not split and not whole:
        return None

    def shown(found: Mapping[Field, list[str]]) -> str:
        both = split.keys() & whole.keys()  # one record has a list, another one a value of the same name
        names = [f"{field} of {name}" for field, names in found.items() if field in both for name in names]
        return ", ".join([*(str(field) for field in found if field not in both), *names]) or "none"

    return (
        f"--pairs: split by exchange, so that each has its own element of the list: {shown(split)}; repeated whole in "
        f"each exchange: {shown(whole)}"
    )


def unite(sources: Sequence[Source]) -> dict[str, pa.StructType]:
    """Return the structs with the fields of all sources, in order of appearance; a struct without fields is left out.

    Raises JobError for each field whose type differs in a way that no common type has.
    """
    types: dict[Field, pa.DataType] = {}
    first: dict[Field, str] = {}
    problems: dict[Field, str] = {}
    for folder, schema, per_exchange in sources:
        for field, kind in fields(schema):
            have = kind.value_type if field in per_exchange else kind
            known = types.setdefault(field, have)
            first.setdefault(field, folder)
            common = _common(known, have)
            if common is not None:
                types[field] = common
            elif field not in problems:
                problems[field] = (
                    f"{field}: {word(known)} in {first[field]}, {word(have)} in {folder}; a column of a data set has "
                    "one type: export these runs one by one, leave a record out (--mix NAME=0), or give the value "
                    "another name in one of the recipes"
                )
    if problems:
        raise JobError(list(problems.values()))
    structs = {struct: [(field.name, kind) for field, kind in types.items() if field.struct == struct]
               for struct in STRUCTS}  # fmt: skip
    return {struct: pa.struct(inner) for struct, inner in structs.items() if inner}


def conform(have: pa.StructArray | None, wanted: Wanted, count: int, exchange: np.ndarray | None) -> pa.StructArray:
    """Return a struct of so many rows with the fields that are wanted, null where the rows have none.

    exchange: the number of each row's exchange, whose element is taken of the lists `per_exchange`.
    """
    names = set(have.type.names) if have is not None and pa.types.is_struct(have.type) else set()
    arrays = []
    for field in wanted.kind:
        if field.name not in names:
            arrays.append(pa.nulls(count, field.type))
            continue
        values = pc.struct_field(have, field.name)
        if exchange is not None and Field(wanted.struct, field.name) in wanted.per_exchange:
            values = element(values, exchange)
        arrays.append(values.cast(field.type))
    return pa.StructArray.from_arrays(arrays, fields=list(wanted.kind))


def word(kind: pa.DataType, *, several: bool = False) -> str:
    """Return the name of a type: `text`, `list of integers`, `conversation`; of several: `texts`."""
    if pa.types.is_struct(kind):
        return "turn" + "s" * several
    if not pa.types.is_list(kind):
        return WORDS.get(kind, (str(kind), str(kind)))[several]
    if pa.types.is_struct(kind.value_type):
        return "conversation" + "s" * several
    return f"list{'s' * several} of {word(kind.value_type, several=True)}"


def listed(structs: Mapping[str, pa.StructType], struct: str) -> list[str]:
    """Return the fields of a struct with their types, `note (text)`, for a data set card."""
    return [f"{field.name} ({word(field.type)})" for field in structs.get(struct, ())]


def _common(one: pa.DataType, other: Any) -> pa.DataType | None:
    """Return the type that holds the values of both, or None."""
    if one.equals(other):
        return one
    if {one, other} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pa.types.is_list(one) and pa.types.is_list(other):
        inner = _common(one.value_type, other.value_type)
        return None if inner is None else pa.list_(inner)
    return None
