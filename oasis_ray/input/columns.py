"""Columns of shards: the accepted types, and conversion to images and text."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.errors import nearest
from oasis_ray.input.source_values import fits, is_text
from oasis_ray.job.input import Input
from oasis_ray.recipe.source import SourceType, image_of

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})  # the type that `datasets` loads as an image
ADDRESS = pa.struct({"file": pa.string(), "row_group": pa.int32(), "row": pa.int64()})


def wrong_columns(schema: pa.Schema, config: Input, file: str, source: Mapping[str, SourceType]) -> list[str]:
    """Return the problems of a shard's columns. `source`: the values that the recipe reads (empty: not checked)."""
    optional = {name for name, kind in source.items() if kind.optional}
    columns = {"input.id": config.id, "input.image": config.image, "input.origin": config.origin}
    columns |= {f"input.columns: {name}": config.columns[name] for name in source if name in config.columns}
    problems = []
    for key, column in columns.items():
        name = key.removeprefix("input.columns: ")
        if column is None or (name in optional and name == column and column not in schema.names):
            continue
        kind = type_at(schema, column)
        if kind is None:
            if key == "input.image" and any(source[value].optional for value in [image_of(source)] if value):
                continue
            has = ", ".join(schema.names)
            problems.append(f"{file} has no column '{column}' ({key}); it has: {has}.{nearest(column, schema.names)}")
            continue
        if key == "input.id" and (pa.types.is_nested(kind) or pa.types.is_binary(kind)):
            problems.append(f"{file}: column '{column}' is {kind}; ids must be text or numbers")
        elif key == "input.image" and not _holds_images(kind):
            problems.append(
                f"{file}: column '{column}' is {kind}; images must be binary, struct<bytes, path>, or a path (string)"
            )
        elif key == "input.image" and is_text(kind) and config.root is None:
            problems.append(f"{file}: column '{column}' contains paths; set `input.root` to their base folder")
        elif key == "input.origin" and not is_text(kind):
            problems.append(f"{file}: column '{column}' is {kind}; columns of `input.origin` must be text")
        elif name in source and key != name and not fits(kind, source[name]):
            advice = f"convert the column, or name another one (input.columns: {{{name}: COLUMN}})"
            problems.append(
                f"{file}: column '{column}' is {kind}; the recipe reads `{name}` as {source[name]}; {advice}"
            )
    return problems


def type_at(schema: pa.Schema, column: str) -> pa.DataType | None:
    """Return the type of a column, or of a field of a struct (`a.b.c`); None if there is none."""
    if column in schema.names:
        return schema.field(column).type
    first, *rest = column.split(".")
    kind = schema.field(first).type if first in schema.names and rest else None
    for name in rest:
        kind = kind.field(name).type if kind is not None and pa.types.is_struct(kind) and _has(kind, name) else None
    return kind


def _has(struct: pa.StructType, name: str) -> bool:
    return bool(struct.get_field_index(name) >= 0)


def take_column(records: pa.RecordBatch, column: str) -> pa.Array:
    """Return a column, or a field of a struct (`a.b.c`); nulls if there is none."""
    if column in records.schema.names:
        return records.column(column)
    if type_at(records.schema, column) is None:
        return pa.nulls(records.num_rows)
    first, *rest = column.split(".")
    return pc.struct_field(records.column(first), rest)


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        parts = {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
        return _is_bytes(parts.get("bytes", pa.null())) and is_text(parts.get("path", pa.null()))
    return _is_bytes(kind) or is_text(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary))


def is_utf8(column: pa.Array | pa.ChunkedArray) -> bool:
    """Whether a text column is valid UTF-8."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def image_column(column: pa.Array) -> pa.Array:
    """Convert images of any accepted type to struct<bytes, path>."""
    if pa.types.is_struct(column.type):
        parts = [pc.struct_field(column, "bytes"), pc.struct_field(column, "path")]
    elif is_text(column.type):
        parts = [pa.nulls(len(column), pa.binary()), column]
    else:
        parts = [column, pa.nulls(len(column), pa.string())]
    return pa.StructArray.from_arrays([parts[0].cast(pa.binary()), text_column(parts[1])], fields=list(IMAGE))


def text_column(column: pa.Array) -> pa.Array:
    """Return valid UTF-8 text. The Parquet reader does not validate it; invalid bytes become \ufffd."""
    if is_utf8(column):
        return column.cast(pa.string())
    values = column.cast(pa.binary()).to_pylist()
    return pa.array([None if value is None else value.decode(errors="replace") for value in values], pa.string())


def value_column(column: pa.Array) -> pa.Array:
    """Return a column with valid UTF-8 in texts, also those in lists and structs."""
    kind = column.type
    if is_text(kind):
        return text_column(column)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        # Not `flatten`, which leaves out what null lists point to: the offsets would no longer fit.
        return pa.ListArray.from_arrays(
            column.offsets.cast(pa.int32()), value_column(column.values), mask=column.is_null()
        )
    if pa.types.is_struct(kind):
        fields = [kind.field(i).name for i in range(kind.num_fields)]
        values = [value_column(column.field(name)) for name in fields]
        return pa.StructArray.from_arrays(values, names=fields, mask=column.is_null())
    return column
