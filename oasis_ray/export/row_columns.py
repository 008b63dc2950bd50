"""Columns of exported rows, made from those of parts: texts without placeholders, images as they are exported."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import PIL
import pyarrow as pa

from oasis_ray.errors import RunError
from oasis_ray.export import exchanges, values
from oasis_ray.export.images import reference
from oasis_ray.export.index import Part
from oasis_ray.export.selection import Selection
from oasis_ray.input.image_decoding import as_seen
from oasis_ray.output.media_placeholders import PLACEHOLDER, harmless
from oasis_ray.output.schema import TURN

TEXTS = ("conversations", "data_source", "instruction", "response")
WRITTEN = {"position": pa.int64(), "id": pa.string(), "conversations": pa.list_(TURN), "data_source": pa.string(),
           "image": pa.string()}  # fmt: skip
# What only `hf` and `webdataset` write.
FURTHER = ("instruction", "response", "run", "origin", "language", "image_sha256")


class RowColumns:
    """Makes the rows of an export from the rows of parts, and counts what it changes.

    keep: stores an image and returns its name; without it images are not exported, and rows name their paths.
    packed: rows hold the bytes of their images. full: rows have all columns, for formats that write them.
    """

    def __init__(
        self,
        selection: Selection,
        runs: list[str],
        *,
        packed: bool,
        keep: Callable[[bytes], str] | None,
        original: bool = False,
        full: bool = True,
    ) -> None:
        self._runs, self.packed, self._keep, self._original = runs, packed, keep, original
        self._per_exchange = selection.per_exchange
        self._structs = selection.structs if full else {}
        self.schema = _schema(self._structs, packed=packed, full=full)
        self.texts_changed = 0  # rows whose texts had placeholders or special tokens
        self.with_system = 0  # rows with a system turn
        self.differing = 0  # rows whose original image trainers open differently from what the judges saw
        self.without_path = 0  # rows whose image is not exported and has no usable path

    @property
    def wanted(self) -> list[str]:
        """The columns of parts that are needed."""
        return [*TEXTS, *self._structs, "image" if self._keep else "image.path"]

    def of(
        self, rows: pa.Table, parents: np.ndarray, selected: pa.Table, positions: np.ndarray, part: Part
    ) -> pa.Table:
        """Return rows of an export.

        rows: rows of a part, each once; parents: for each row of the export, in this order, its place among them;
        selected and positions: the rows of the export in the selection, and their places in it.
        """
        count = len(parents)
        exchange = np.asarray(selected.column("exchange")) if "exchange" in selected.column_names else None
        made: dict[str, Any] = {name: selected.column(name) for name in ("id", "origin", "language", "image_sha256")}
        made |= {"position": pa.array(positions), "run": pa.array([self._runs[part.run]] * count)}
        made |= self._texts(rows, parents, exchange) | self._images(rows, parents, made["image_sha256"])
        per_exchange = self._per_exchange.get((part.run, part.outcome), frozenset())
        for name, kind in self._structs.items():
            have = rows.column(name).combine_chunks() if name in rows.column_names else None
            if have is not None and exchange is not None:
                have = have.take(pa.array(parents))
            made[name] = values.conform(have, values.Wanted(name, kind, per_exchange), count, exchange)
        return pa.table([made[column.name].cast(column.type) for column in self.schema], schema=self.schema)

    def _texts(self, rows: pa.Table, parents: np.ndarray, exchange: np.ndarray | None) -> dict[str, Any]:
        """Return the texts of rows. Turns lose placeholders and special tokens, except for the row's own image."""
        turns = [_harmless(said) for said in rows.column("conversations").to_pylist()]
        said = [rows.column(name).to_pylist() for name in ("instruction", "response")]
        made: dict[str, Any] = {name: rows.column(name) for name in TEXTS}
        if exchange is not None:
            turns = [exchanges.exchange(turns[parent], n) for parent, n in zip(parents, exchange, strict=True)]
            said = [
                [exchanges.bare(own[at]["value"]) if n else texts[parent]
                 for parent, n, own in zip(parents, exchange, turns, strict=True)]
                for at, texts in zip((-2, -1), said, strict=True)
            ]  # fmt: skip
            texts = {name: pa.array(of_name, pa.string()) for name, of_name in zip(TEXTS[2:], said, strict=True)}
            made |= {"data_source": made["data_source"].take(pa.array(parents)), **texts}
        self.with_system += sum(own[0]["from"] == exchanges.SYSTEM for own in turns if own)
        self.texts_changed += sum(map(_is_changed, *said))
        return made | {"conversations": pa.array(turns, pa.list_(TURN))}

    def _images(self, rows: pa.Table, parents: np.ndarray, digests: pa.ChunkedArray) -> dict[str, Any]:
        """Return the names of the images, and their bytes if rows hold them. Each image is processed once."""
        images, names = [], []
        differing, without = np.zeros(rows.num_rows, bool), np.zeros(rows.num_rows, bool)
        first = np.searchsorted(parents, np.arange(rows.num_rows))
        of_rows = digests.take(pa.array(first)).to_pylist()
        for at, (image, digest) in enumerate(zip(rows.column("image").to_pylist(), of_rows, strict=True)):
            seen, differing[at] = self._seen(image or {})
            names.append(self._name(seen, digest))
            without[at] = self._keep is None and digest is not None and names[at] == digest
            images.append(seen.get("bytes"))
        self.differing += int(differing[parents].sum())
        self.without_path += int(without[parents].sum())
        made = {"image": pa.array(names, pa.string()).take(pa.array(parents))}
        if self.packed:
            made["bytes"] = pa.array(images, pa.large_binary())
            if len(parents) > rows.num_rows:
                made["bytes"] = made["bytes"].take(pa.array(parents))
        return made

    def _seen(self, image: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
        """Return the image with the bytes to export, and whether trainers open its own bytes differently."""
        if self._keep is None or not image.get("bytes"):
            return image, False
        data, changed = _as_seen(image["bytes"])
        return (image if self._original else {**image, "bytes": data}), changed

    def _name(self, image: Mapping[str, Any], digest: str | None) -> str | None:
        """Return an image's path below the export, or in the input if it is not exported; None for no image."""
        if digest is None:
            return None
        return reference(image.get("path"), digest) if self._keep is None else self._keep(image["bytes"])


def _schema(structs: Mapping[str, pa.StructType], *, packed: bool, full: bool) -> pa.Schema:
    """Return the columns of a row in a bucket; `bytes` only if shards contain the images."""
    columns = WRITTEN | (dict.fromkeys(FURTHER, pa.string()) if full else {}) | dict(structs)
    if packed:
        columns["bytes"] = pa.large_binary()  # a bucket may exceed the 2 GiB of `binary`
    return pa.schema(columns)


def _harmless(turns: Sequence[exchanges.Turn]) -> list[exchanges.Turn]:
    """Return turns without placeholders and special tokens, but for the one of the image before the first question."""
    cleaned, asked = list[exchanges.Turn](), False
    for turn in turns:
        text = turn["value"]
        opening = PLACEHOLDER if not asked and text.startswith(PLACEHOLDER) else ""
        asked = asked or turn["from"] == "human"
        cleaned.append({**turn, "value": opening + harmless(text[len(opening) :])})
    return cleaned


def _is_changed(instruction: str | None, response: str | None) -> bool:
    """Whether texts have words that are changed in turns."""
    return any(text and harmless(text) != text for text in (instruction, response))


def _as_seen(data: bytes) -> tuple[bytes, bool]:
    """Call `image_decoding.as_seen`. Raises RunError for bytes that are no image, which no admitted row has."""
    try:
        return as_seen(data)
    except (PIL.UnidentifiedImageError, OSError, ValueError) as error:
        raise RunError(
            f"a part holds an image that can't be read ({error}); has the run folder been changed?"
        ) from None
