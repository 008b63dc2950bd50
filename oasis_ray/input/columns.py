"""Columns of shards: the accepted types, and conversion to images and text."""

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.errors import nearest
from oasis_ray.job.input import Input

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})  # the type that `datasets` loads as an image
ADDRESS = pa.struct({"file": pa.string(), "row_group": pa.int32(), "row": pa.int64()})


def wrong_columns(schema: pa.Schema, config: Input, file: str) -> list[str]:
    """Return the problems of a shard's columns."""
    columns = {"input.id": config.id, "input.image": config.image, "input.origin": config.origin} | {
        f"input.columns: {c}": c for c in config.columns
    }
    problems = []
    for key, column in columns.items():
        if column is None:
            continue
        if column not in schema.names:
            has = ", ".join(schema.names)
            problems.append(f"{file} has no column '{column}' ({key}); it has: {has}.{nearest(column, schema.names)}")
            continue
        kind = schema.field(column).type
        if key == "input.id" and (pa.types.is_nested(kind) or pa.types.is_binary(kind)):
            problems.append(f"{file}: column '{column}' is {kind}; ids must be text or numbers")
        elif key == "input.image" and not _holds_images(kind):
            problems.append(
                f"{file}: column '{column}' is {kind}; images must be binary, struct<bytes, path>, or a path (string)"
            )
        elif key == "input.image" and is_text(kind) and config.root is None:
            problems.append(f"{file}: column '{column}' contains paths; set `input.root` to their base folder")
        elif key.startswith(("input.columns", "input.origin")) and not is_text(kind):
            problems.append(f"{file}: column '{column}' is {kind}; columns of `{key.split(':')[0]}` must be text")
    return problems


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        parts = {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
        return _is_bytes(parts.get("bytes", pa.null())) and is_text(parts.get("path", pa.null()))
    return _is_bytes(kind) or is_text(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary))


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type is text."""
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string))


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
