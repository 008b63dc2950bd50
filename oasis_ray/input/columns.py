"""The columns of shards: which types are taken, and how they are read as images and texts."""

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.errors import nearest
from oasis_ray.job.input import Input

IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})  # what `datasets` loads as pictures
ADDRESS = pa.struct({"file": pa.string(), "row_group": pa.int32(), "row": pa.int64()})


def wrong_columns(schema: pa.Schema, given: Input, file: str) -> list[str]:
    """What keeps this shard from being read."""
    wanted = {"input.id": given.id, "input.image": given.image, "input.origin": given.origin} | {
        f"input.columns: {c}": c for c in given.columns
    }
    problems = []
    for key, column in wanted.items():
        if column is None:
            continue
        if column not in schema.names:
            has = ", ".join(schema.names)
            problems.append(f"{file} has no column '{column}' ({key}); it has: {has}.{nearest(column, schema.names)}")
            continue
        kind = schema.field(column).type
        if key == "input.id" and (pa.types.is_nested(kind) or pa.types.is_binary(kind)):
            problems.append(f"{file}: column '{column}' is {kind}; ids are text or numbers")
        elif key == "input.image" and not _holds_images(kind):
            problems.append(
                f"{file}: column '{column}' is {kind}; images are binary, struct<bytes, path>, or a path (string)"
            )
        elif key == "input.image" and is_text(kind) and given.root is None:
            problems.append(f"{file}: column '{column}' holds paths; say in `input.root` which folder they are below")
        elif key.startswith(("input.columns", "input.origin")) and not is_text(kind):
            problems.append(f"{file}: column '{column}' is {kind}; columns of `{key.split(':')[0]}` hold text")
    return problems


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        parts = {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}
        return _is_bytes(parts.get("bytes", pa.null())) and is_text(parts.get("path", pa.null()))
    return _is_bytes(kind) or is_text(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary))


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text."""
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string))


def is_utf8(column: pa.Array | pa.ChunkedArray) -> bool:
    """Whether a column of text is UTF-8, as it says."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def image_column(column: pa.Array) -> pa.Array:
    """Images in whatever form as struct<bytes, path>."""
    if pa.types.is_struct(column.type):
        parts = [pc.struct_field(column, "bytes"), pc.struct_field(column, "path")]
    elif is_text(column.type):
        parts = [pa.nulls(len(column), pa.binary()), column]
    else:
        parts = [column, pa.nulls(len(column), pa.string())]
    return pa.StructArray.from_arrays([parts[0].cast(pa.binary()), text_column(parts[1])], fields=list(IMAGE))


def text_column(column: pa.Array) -> pa.Array:
    """Text that is UTF-8. A shard may say so of other bytes, which its reader does not look at; these become \ufffd."""
    if is_utf8(column):
        return column.cast(pa.string())
    values = column.cast(pa.binary()).to_pylist()
    return pa.array([None if value is None else value.decode(errors="replace") for value in values], pa.string())
