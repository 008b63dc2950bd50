"""The language of a row: what a language node of the run wrote, else what langdetect says."""

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.stage import language

UNSURE = "unsure"
READ_CHARS = 200  # langdetect takes 4 ms for so many, and a longer text is told apart little better


def node_of(schema: pa.Schema) -> str | None:
    """The node of a part that names a language: the one whose output is a language and whether it is sure."""
    if "nodes" not in schema.names:
        return None
    for node in schema.field("nodes").type:
        if pa.types.is_struct(node.type) and {child.name for child in node.type} == {"language", "sure"}:
            return str(node.name)
    return None


def written(table: pa.Table, node: str | None) -> pa.ChunkedArray:
    """What the node wrote in each row, `unsure` where it was not sure; null where it wrote nothing."""
    if node is None:
        return pa.chunked_array([pa.nulls(table.num_rows, pa.string())])
    said = pc.struct_field(table.column("nodes"), [node, "language"])
    sure = pc.fill_null(pc.struct_field(table.column("nodes"), [node, "sure"]), False)
    return pc.if_else(pc.or_(sure, pc.is_null(said)), said, UNSURE)


def detect(text: str) -> str:
    """The language (ISO 639-1 as langdetect writes it), or `unsure` where the text is short or the guess is weak."""
    name, sure = language.detect(text.strip()[:READ_CHARS])
    return name if sure else UNSURE
