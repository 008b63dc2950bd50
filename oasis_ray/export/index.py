"""Index of an export: the parts of the runs, and the small columns of their rows. Images are not read."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from oasis_ray.errors import RunError
from oasis_ray.export import exchanges, values
from oasis_ray.export.compared import Compared
from oasis_ray.export.options import Options
from oasis_ray.export.row_language import detect, node_of, written
from oasis_ray.output.parts import parts


@dataclass(frozen=True)
class Part:
    """A part of a run with rows of one record; bytes are those of its columns, uncompressed.

    With `--pairs`: `lengths` are those of the lists among its values, `several` is the number of its rows with more
    than one exchange, `irregular` that of rows that can't be divided into exchanges.
    """

    run: int
    outcome: str
    fs: Any
    path: str
    schema: pa.Schema
    rows: int
    image_bytes: int
    text_bytes: int
    data_sources: tuple[str, ...]
    lengths: Mapping[values.Field, values.Lengths] = field(default_factory=dict)
    several: int = 0
    irregular: int = 0


def read_index(
    run: int, folder: str, outcome: str, subfolder: str, options: Options, compared: Compared
) -> Iterator[tuple[Part, pa.Table]]:
    """Yield the parts in one folder of a run, each with the small columns of its rows, or of its exchanges.

    `compared` are the texts of the record that tell duplicates.
    """
    fs, paths = parts(folder, subfolder)
    for path in paths:
        try:
            with fs.open(path, "rb") as stream:
                file = pq.ParquetFile(stream)
                schema = file.schema_arrow
                language_node = node_of(schema)
                lists = values.lists(schema) if options.pairs and options.has_values else []
                table = file.read(columns=_wanted(file, language_node, lists, options, compared))
        except (pa.ArrowException, OSError) as error:
            raise RunError(f"{path} can't be read: {error}; `oasis-ray audit` reports details") from None
        sources = tuple(table.column("data_source").unique().drop_null().to_pylist())
        counts = exchanges.count(table.column("conversations")) if options.pairs else None
        of_pairs: dict[str, Any] = {} if counts is None else {
            "lengths": values.lengths(table, lists, counts), "several": int((counts > 1).sum()),
            "irregular": int((counts == 0).sum()),
        }  # fmt: skip
        part = Part(run, outcome, fs, path, schema, table.num_rows, *_sizes(file.metadata), sources, **of_pairs)
        yield part, _small_columns(table, part, language_node, options, compared, counts)


def _wanted(
    file: Any, language_node: str | None, lists: list[values.Field], options: Options, compared: Compared
) -> list[str]:
    """Return the columns to read, nested ones by their paths."""
    wanted = ["id", "image_sha256", "origin", "data_source", *map(str, lists)]
    wanted += [f"nodes.{language_node}"] if language_node else []
    if options.pairs or (options.reads_texts and compared.several):
        paths = [file.schema.column(at).path for at in range(len(file.schema.names))]
        turns = [path for path in paths if path.startswith("conversations.")]
        wanted += turns if options.reads_texts else [path for path in turns if path.endswith(".from")]
    if options.reads_texts:
        wanted += ["instruction", "response"]
    return wanted


def _sizes(metadata: Any) -> tuple[int, int]:
    """Return the bytes of a part's images and of its other columns, uncompressed."""
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    columns = [group.column(n) for group in groups for n in range(group.num_columns)]
    images = sum(column.total_uncompressed_size for column in columns if column.path_in_schema.startswith("image."))
    return images, sum(column.total_uncompressed_size for column in columns) - images


def _small_columns(
    table: pa.Table,
    part: Part,
    language_node: str | None,
    options: Options,
    compared: Compared,
    counts: np.ndarray | None,
) -> pa.Table:
    count = table.num_rows
    small = pa.table(
        {
            "row": pa.array(np.arange(count), pa.int32()),
            "id": table.column("id"),
            "outcome": pa.array([part.outcome] * count, pa.string()),
            "image_sha256": table.column("image_sha256"),
            "origin": table.column("origin") if "origin" in table.column_names else pa.nulls(count, pa.string()),
            "language": written(table, language_node),
        }
    )
    if counts is not None:
        small = exchanges.divide(small, counts)
    if not options.reads_texts:
        return small
    texts = _texts(table, counts, several=compared.several)
    if "language" in options.caps:
        known = small.column("language").to_pylist()
        spoken = [word or detect(exchanges.joined(*said)) for word, said in zip(known, texts, strict=True)]
        small = small.set_column(small.column_names.index("language"), "language", pa.array(spoken, pa.string()))
    if options.dedup == "text":
        keys = [_text_key(compared.text(*said)) for said in texts]
        small = small.append_column("text", pa.array(keys, pa.binary()))
    return small


def _texts(table: pa.Table, counts: np.ndarray | None, *, several: bool) -> list[tuple[Sequence[str], Sequence[str]]]:
    """Return questions and answers of each row, which may have several, or of each exchange of all rows."""
    asked, answered = (table.column(name).to_pylist() for name in ("instruction", "response"))
    first = list(zip(asked, answered, strict=True))
    if counts is None and not several:
        return [([one], [other]) for one, other in first]
    conversations = table.column("conversations").to_pylist()
    if counts is None:
        return [exchanges.sides(*own, turns) for own, turns in zip(first, conversations, strict=True)]
    return [
        ([pair[0]], [pair[1]])
        for own, turns, count in zip(first, conversations, counts, strict=True)
        if count
        for pair in (own, *exchanges.texts(turns)[1:])
    ]


def _text_key(text: str) -> bytes:
    """Return a key that ignores case, whitespace and Unicode compatibility forms."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return blake2b(plain.encode(), digest_size=16).digest()
