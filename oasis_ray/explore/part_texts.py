"""Texts in a run's parts: SQL for the outputs of nodes, and for all texts of a row that a search looks at."""

from collections.abc import Sequence

import pyarrow as pa

from oasis_ray.output.media_placeholders import PLACEHOLDER

DROPPED_TEXTS = "array_to_string(flatten([[drop.detail for drop in entry.dropped] for entry in elements]), chr(10))"
TURNS = {("speaker", "text"): "text", ("from", "value"): "value"}  # fields of a turn, and the one with its text


def words(schema: pa.Schema) -> list[str]:
    """Return SQL expressions for all texts of a row: its own with all turns, and those in the outputs of nodes."""
    return [
        *(name for name in ("id", "instruction", "response", "detail", "error") if name in schema.names),
        *_conversations(schema),
        *(text for *_, place, kind in written(schema) if (text := _text_of(place, kind))),
        *(["array_to_string([move.detail for move in moves], chr(10))"] if _has_moves(schema) else []),
        *([DROPPED_TEXTS] if "elements" in schema.names else []),
    ]


def _conversations(schema: pa.Schema) -> Sequence[str]:
    """Return SQL for the turns of a record, without the placeholder of its image, which nobody wrote."""
    name = "conversations"
    text = _text_of(name, schema.field(name).type) if name in schema.names else None
    return [f"replace({text}, '{PLACEHOLDER}' || chr(10), '')"] if text else []


def _text_of(place: str, kind: pa.DataType, depth: int = 0) -> str | None:
    """Return SQL for the text in a value: a text, a turn, or a list of them, joined by lines. None if it has none."""
    if is_text(kind):
        return place
    if pa.types.is_struct(kind):
        field = TURNS.get(tuple(field.name for field in kind))
        return f"{place}.{quoted(field)}" if field else None
    if not pa.types.is_list(kind):
        return None
    element = f"e{depth}"
    text = _text_of(element, kind.value_type, depth + 1)
    if text is None:
        return None
    return f"array_to_string({place if text == element else f'[{text} for {element} in {place}]'}, chr(10))"


def _has_moves(schema: pa.Schema) -> bool:
    """Whether parts with this schema have the column `moves`, which those of earlier versions lack."""
    kind = schema.field("moves").type if "moves" in schema.names else pa.null()
    steps = kind.value_type if pa.types.is_list(kind) else pa.null()
    return pa.types.is_struct(steps) and any(step.name == "detail" and is_text(step.type) for step in steps)


def written(schema: pa.Schema) -> list[tuple[str, str, str, pa.DataType]]:
    """Return the output fields of the nodes: node, field, SQL for the field, and its type.

    The fields of a node with `for_each` are lists.
    """
    nodes = schema.field("nodes").type if "nodes" in schema.names else pa.null()
    found = []
    for node in nodes if pa.types.is_struct(nodes) else ():
        place, many = f"nodes.{quoted(node.name)}", pa.types.is_list(node.type)
        struct = node.type.value_type if many else node.type
        for field in struct if pa.types.is_struct(struct) else ():
            name = quoted(field.name)
            found.append(
                (node.name, field.name, f"list_transform({place}, lambda e: e.{name})", pa.list_(field.type))
                if many
                else (node.name, field.name, f"{place}.{name}", field.type)
            )
    return found


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is that of texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def quoted(name: str) -> str:
    """Return a name of a column or field as SQL."""
    return '"' + name.replace('"', '""') + '"'


def is_texts(kind: pa.DataType) -> bool:
    """Whether a type is that of lists of texts."""
    return pa.types.is_list(kind) and is_text(kind.value_type)
