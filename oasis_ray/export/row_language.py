"""Language of a row: the output of a language node of the run, else langdetect's."""

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.stage import language

UNSURE = "unsure"
READ_CHARS = 200  # langdetect takes 4 ms for these, and is hardly more accurate with more


def node_of(schema: pa.Schema) -> str | None:
    """Return the language node of a part, recognised by its output (`language`, `sure`); None if there is none."""
    if "nodes" not in schema.names:
        return None
    for node in schema.field("nodes").type:
        if pa.types.is_struct(node.type) and {child.name for child in node.type} == {"language", "sure"}:
            return str(node.name)
    return None


def written(table: pa.Table, node: str | None) -> pa.ChunkedArray:
    """Return the language that the node wrote for each row: `unsure` if it was not sure, null if it wrote none."""
    if node is None:
        return pa.chunked_array([pa.nulls(table.num_rows, pa.string())])
    languages = pc.struct_field(table.column("nodes"), [node, "language"])
    sure = pc.fill_null(pc.struct_field(table.column("nodes"), [node, "sure"]), False)
    return pc.if_else(pc.or_(sure, pc.is_null(languages)), languages, UNSURE)


def detect(text: str) -> str:
    """Return langdetect's language (ISO 639-1), or `unsure` if the text is short or the guess is weak."""
    name, sure = language.detect(text.strip()[:READ_CHARS])
    return name if sure else UNSURE
