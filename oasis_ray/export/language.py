"""The language of a row: what a language node of the run wrote, else what langdetect says, seeded."""

from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

UNSURE = "unsure"
MIN_CHARS, MIN_PROBABILITY = 20, 0.9  # as the stage `language` has them
READ_CHARS = 200  # langdetect takes 4 ms for so many, and no longer text is told apart better by more


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
    detector, no_letters = _langdetect()
    text = text.strip()[:READ_CHARS]
    if len(text) < MIN_CHARS:
        return UNSURE
    try:
        likeliest = detector(text)[0]
    except no_letters:
        return UNSURE
    return str(likeliest.lang) if likeliest.prob >= MIN_PROBABILITY else UNSURE


@cache
def _langdetect() -> tuple[Any, Any]:
    from langdetect import DetectorFactory, detect_langs
    from langdetect.lang_detect_exception import LangDetectException

    DetectorFactory.seed = 0  # unseeded, langdetect is random
    return detect_langs, LangDetectException
