"""External shuffle: brings the selected rows into the order of the export, in bounded memory.

Each part is read once, and each of its rows is written to a bucket, a file on disk for a range of positions. A bucket
is small enough to be sorted in memory when its rows are needed.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oasis_ray.errors import RunError
from oasis_ray.export.images import reference
from oasis_ray.export.selection import Part, Selection
from oasis_ray.input.image_decoding import as_seen
from oasis_ray.output.media_placeholders import PLACEHOLDER, harmless
from oasis_ray.output.schema import TURN

BUCKET_BYTES = 128 * 2**20
MAX_BUCKETS = 256  # open files at a time
SORTED_ROWS = 512
TEXTS = ("conversations", "data_source", "instruction", "response")


def columns(axes: Iterable[str], *, packed: bool) -> pa.Schema:
    """Return the columns of a row in a bucket; `bytes` only if shards contain the images."""
    fields = [
        pa.field("position", pa.int64()), pa.field("id", pa.string()), pa.field("run", pa.string()),
        pa.field("conversations", pa.list_(TURN)), *(pa.field(name, pa.string()) for name in TEXTS[1:]),
        pa.field("origin", pa.string()), pa.field("language", pa.string()), pa.field("image_sha256", pa.string()),
        pa.field("image", pa.string()),
    ]  # fmt: skip
    if scores := pa.struct([(axis, pa.int64()) for axis in axes]):
        fields.append(pa.field("scores", scores))
    if packed:
        fields.append(pa.field("bytes", pa.large_binary()))  # a bucket may exceed the 2 GiB of `binary`
    return pa.schema(fields)


class Shuffle:
    """Reads the rows of a selection from parts and returns them in its order.

    `keep` stores an image and returns its name; without it images are not exported, and rows name their paths.
    """

    def __init__(
        self,
        selection: Selection,
        runs: list[str],
        *,
        packed: bool,
        keep: Callable[[bytes], str] | None,
        original: bool = False,
    ) -> None:
        self._selection, self._runs, self._packed, self._keep = selection, runs, packed, keep
        self._original = original
        self.schema = columns(selection.axes, packed=packed)
        self._buckets: dict[str, list[Path]] = {}
        self.texts_changed = 0  # rows whose texts had placeholders or special tokens
        self.differing = 0  # rows whose original image trainers open differently from what the judges saw
        self.without_path = 0  # rows whose image is not exported and has no usable path

    def spill(self, folder: Path) -> None:
        """Read every part once and write its rows to buckets below `folder`."""
        starts = self._plan_buckets(folder)
        files = [path for paths in self._buckets.values() for path in paths]
        writers = [pa.ipc.new_stream(path, self.schema) for path in files]
        rows = self._selection.rows
        order = np.lexsort((rows.column("row"), rows.column("part")))
        of_part = np.asarray(rows.column("part"))[order]
        try:
            for number, part in enumerate(self._selection.parts):
                first, last = np.searchsorted(of_part, [number, number + 1])
                for table in self._read(part, order[first:last]):
                    bucket = np.searchsorted(starts, np.asarray(table.column("position")), side="right") - 1
                    for n in np.unique(bucket):
                        writers[n].write_table(table.filter(pa.array(bucket == n)))
        finally:
            for writer in writers:
                writer.close()

    def rows(self, split: str) -> Iterator[pa.Table]:
        """Yield the rows of a split in order, in tables of up to SORTED_ROWS. Each bucket is removed once it is read.

        Raises RunError if there are fewer rows than were selected.
        """
        missing = pc.sum(pc.equal(self._selection.rows.column("split"), split)).as_py()
        for path in self._buckets[split]:
            with pa.OSFile(str(path)) as stream:
                # One chunk, because `take` on several would concatenate them each time.
                table = pa.ipc.open_stream(stream).read_all().combine_chunks()
            path.unlink()
            order = pa.array(np.argsort(np.asarray(table.column("position"))))
            for at in range(0, len(order), SORTED_ROWS):
                yield table.take(order.slice(at, SORTED_ROWS))
            missing -= len(order)
        if missing:
            raise RunError(f"split {split}: a part was changed during the export; missing rows: {missing}")

    def _plan_buckets(self, folder: Path) -> np.ndarray:
        """Name the buckets of each split, by the bytes expected, and return the position at which each begins."""
        parts, rows = self._selection.parts, self._selection.rows
        weight = sum(part.text_bytes + part.image_bytes * self._packed for part in parts)
        share = rows.num_rows / (rows.num_rows + sum(self._selection.left_out.values()))
        splits = pc.value_counts(rows.column("split")).to_pylist()
        most = max(1, MAX_BUCKETS // len(splits))
        starts, at = [], 0
        for split in splits:
            name, count = split["values"], split["counts"]
            wanted = min(most, 1 + int(weight * share * count / rows.num_rows / BUCKET_BYTES), count)
            self._buckets[name] = [folder / f"{name}-{n}.arrow" for n in range(wanted)]
            starts += [at + count * n // wanted for n in range(wanted)]
            at += count
        return np.array(starts)

    def _read(self, part: Part, positions: np.ndarray) -> Iterator[pa.Table]:
        """Yield the selected rows of a part in its order; `positions` are theirs in the selection."""
        if not len(positions):
            return
        selected = self._selection.rows.take(pa.array(positions))
        wanted = np.asarray(selected.column("row"))
        image, at_once = ("image", 64) if self._keep else ("image.path", 4096)
        with part.fs.open(part.path, "rb") as stream:
            # Without pre-buffering, which would load all images of a row group at a time.
            file, at = pq.ParquetFile(stream, pre_buffer=False, buffer_size=2**20), 0
            for batch in file.iter_batches(at_once, columns=[*TEXTS, "scores", image]):
                first, last = np.searchsorted(wanted, [at, at + len(batch)])
                if first < last:
                    rows = pa.Table.from_batches([batch]).take(pa.array(wanted[first:last] - at))
                    yield self._conform(rows, selected.slice(first, last - first), positions[first:last], part)
                at += len(batch)

    def _conform(self, rows: pa.Table, selected: pa.Table, positions: np.ndarray, part: Part) -> pa.Table:
        """Return rows in the columns of a bucket."""
        values = {name: rows.column(name) for name in TEXTS}
        values["conversations"] = self._harmless(rows)
        values |= {name: selected.column(name) for name in ("id", "origin", "language", "image_sha256")}
        values |= {"position": pa.array(positions), "run": pa.array([self._runs[part.run]] * len(positions))}
        images = [self._seen(image or {}) for image in rows.column("image").to_pylist()]
        values["image"] = pa.array(
            [
                self._name(image, digest)
                for image, digest in zip(images, values["image_sha256"].to_pylist(), strict=True)
            ],
            pa.string(),
        )
        if self._packed:
            values["bytes"] = pa.array([image.get("bytes") for image in images], pa.large_binary())
        if "scores" in self.schema.names:
            type_ = self.schema.field("scores").type
            scored = (
                {axis.name for axis in part.schema.field("scores").type} if "scores" in part.schema.names else set()
            )
            values["scores"] = pa.StructArray.from_arrays(
                [pc.struct_field(rows.column("scores"), axis.name).combine_chunks() if axis.name in scored
                 else pa.nulls(len(positions), axis.type) for axis in type_],
                fields=list(type_),
            )  # fmt: skip
        return pa.table([values[column.name].cast(column.type) for column in self.schema], schema=self.schema)

    def _harmless(self, rows: pa.Table) -> pa.Array:
        """Return the conversations without placeholders and special tokens, except for the row's own image."""
        conversations = []
        for row in rows.select(["conversations", "instruction", "response"]).to_pylist():
            turns: list[dict[str, str]] = []
            for turn in row["conversations"]:
                text = turn["value"]
                opening = PLACEHOLDER if not turns and text.startswith(PLACEHOLDER) else ""
                turns.append({**turn, "value": opening + harmless(text[len(opening) :])})
            conversations.append(turns)
            texts = [row[name] or "" for name in ("instruction", "response")]
            self.texts_changed += [harmless(text) for text in texts] != texts
        return pa.array(conversations, pa.list_(TURN))

    def _seen(self, image: dict[str, Any]) -> dict[str, Any]:
        """Return the image with the bytes to export."""
        if self._keep is None or not image.get("bytes"):
            return image
        data, changed = _as_seen(image["bytes"])
        self.differing += changed
        return image if self._original else {**image, "bytes": data}

    def _name(self, image: dict[str, Any], digest: str | None) -> str | None:
        """Return an image's path below the export, or in the input if it is not exported; None for no image."""
        if digest is None:
            return None
        if self._keep is None:
            name = reference(image.get("path"), digest)
            self.without_path += name == digest
            return name
        return self._keep(image["bytes"])


def _as_seen(data: bytes) -> tuple[bytes, bool]:
    """Call `image_decoding.as_seen`. Raises RunError for bytes that are no image, which no admitted row has."""
    try:
        return as_seen(data)
    except (PIL.UnidentifiedImageError, OSError, ValueError) as error:
        raise RunError(
            f"a part holds an image that can't be read ({error}); has the run folder been changed?"
        ) from None
