"""The chosen rows with all that is exported of them, in the order of the export, in flat memory.

Parts are read once, in their own order, and each row is put into the bucket, a file on disk, where its place in the
order lies. A bucket is small enough to be held in memory, so it is sorted there when its turn comes.
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
from oasis_ray.input.decoding import as_seen
from oasis_ray.output.media_placeholders import PLACEHOLDER, harmless
from oasis_ray.output.schema import TURN

BUCKET_BYTES = 128 * 2**20
MAX_BUCKETS = 256  # open files at a time
SORTED_ROWS = 512
TEXTS = ("conversations", "data_source", "instruction", "response")


def columns(axes: Iterable[str], *, packed: bool) -> pa.Schema:
    """The columns of a row on its way; `bytes` are there where pictures go into shards."""
    fields = [
        pa.field("place", pa.int64()), pa.field("id", pa.string()), pa.field("run", pa.string()),
        pa.field("conversations", pa.list_(TURN)), *(pa.field(name, pa.string()) for name in TEXTS[1:]),
        pa.field("origin", pa.string()), pa.field("language", pa.string()), pa.field("image_sha256", pa.string()),
        pa.field("picture", pa.string()),
    ]  # fmt: skip
    if scores := pa.struct([(axis, pa.int64()) for axis in axes]):
        fields.append(pa.field("scores", scores))
    if packed:
        fields.append(pa.field("bytes", pa.large_binary()))  # a bucket may hold more than the 2 GiB of `binary`
    return pa.schema(fields)


class Shuffle:
    """Rows on their way from parts, in the order of a selection.

    `keep` puts a picture where it belongs and names it; without it pictures stay behind, and rows name their paths.
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
        self._places: dict[str, list[Path]] = {}
        self.texts_changed = 0  # rows whose texts had words that act on trainers
        self.differing = 0  # rows whose image, as it came, a trainer opens otherwise than the judges saw it
        self.without_path = 0  # rows whose picture stays behind, and has no path that can be given

    def spill(self, folder: Path) -> None:
        """Read every part once, and write its rows to the buckets below `folder`."""
        starts = self._buckets(folder)
        files = [path for paths in self._places.values() for path in paths]
        writers = [pa.ipc.new_stream(path, self.schema) for path in files]
        rows = self._selection.rows
        order = np.lexsort((rows.column("row"), rows.column("part")))
        of_part = np.asarray(rows.column("part"))[order]
        try:
            for number, part in enumerate(self._selection.parts):
                first, last = np.searchsorted(of_part, [number, number + 1])
                for table in self._read(part, order[first:last]):
                    bucket = np.searchsorted(starts, np.asarray(table.column("place")), side="right") - 1
                    for n in np.unique(bucket):
                        writers[n].write_table(table.filter(pa.array(bucket == n)))
        finally:
            for writer in writers:
                writer.close()

    def rows(self, split: str) -> Iterator[pa.Table]:
        """The rows of a split in order, some at a time. Each bucket is removed when it is read.

        Raises RunError where there are not as many as were chosen.
        """
        missing = pc.sum(pc.equal(self._selection.rows.column("split"), split)).as_py()
        for path in self._places[split]:
            with pa.OSFile(str(path)) as stream:
                # One chunk, because taking rows out of many would join them anew each time.
                table = pa.ipc.open_stream(stream).read_all().combine_chunks()
            path.unlink()
            order = pa.array(np.argsort(np.asarray(table.column("place"))))
            for at in range(0, len(order), SORTED_ROWS):
                yield table.take(order.slice(at, SORTED_ROWS))
            missing -= len(order)
        if missing:
            raise RunError(f"{missing} rows of the split {split} are gone: a part was changed while it was exported")

    def _buckets(self, folder: Path) -> np.ndarray:
        """Name the buckets of each split, by the bytes to expect; the place at which each begins."""
        parts, chosen = self._selection.parts, self._selection.rows
        weight = sum(part.text_bytes + part.image_bytes * self._packed for part in parts)
        share = chosen.num_rows / (chosen.num_rows + sum(self._selection.left_out.values()))
        splits = pc.value_counts(chosen.column("split")).to_pylist()
        most = max(1, MAX_BUCKETS // len(splits))
        starts, at = [], 0
        for split in splits:
            name, count = split["values"], split["counts"]
            wanted = min(most, 1 + int(weight * share * count / chosen.num_rows / BUCKET_BYTES), count)
            self._places[name] = [folder / f"{name}-{n}.arrow" for n in range(wanted)]
            starts += [at + count * n // wanted for n in range(wanted)]
            at += count
        return np.array(starts)

    def _read(self, part: Part, places: np.ndarray) -> Iterator[pa.Table]:
        """The chosen rows of a part, which stand in the selection at `places`, in the order of the part."""
        if not len(places):
            return
        chosen = self._selection.rows.take(pa.array(places))
        wanted = np.asarray(chosen.column("row"))
        image, at_once = ("image", 64) if self._keep else ("image.path", 4096)
        with part.fs.open(part.path, "rb") as stream:
            # Without pre-buffering, so that the pictures of a row group are not all in memory at a time.
            file, at = pq.ParquetFile(stream, pre_buffer=False, buffer_size=2**20), 0
            for batch in file.iter_batches(at_once, columns=[*TEXTS, "scores", image]):
                first, last = np.searchsorted(wanted, [at, at + len(batch)])
                if first < last:
                    rows = pa.Table.from_batches([batch]).take(pa.array(wanted[first:last] - at))
                    yield self._conform(rows, chosen.slice(first, last - first), places[first:last], part)
                at += len(batch)

    def _conform(self, rows: pa.Table, chosen: pa.Table, places: np.ndarray, part: Part) -> pa.Table:
        found = {name: rows.column(name) for name in TEXTS}
        found["conversations"] = self._harmless(rows)
        found |= {name: chosen.column(name) for name in ("id", "origin", "language", "image_sha256")}
        found |= {"place": pa.array(places), "run": pa.array([self._runs[part.run]] * len(places))}
        images = [self._seen(image or {}) for image in rows.column("image").to_pylist()]
        found["picture"] = pa.array(
            [
                self._name(image, digest)
                for image, digest in zip(images, found["image_sha256"].to_pylist(), strict=True)
            ],
            pa.string(),
        )
        if self._packed:
            found["bytes"] = pa.array([image.get("bytes") for image in images], pa.large_binary())
        if "scores" in self.schema.names:
            kind = self.schema.field("scores").type
            had = {axis.name for axis in part.schema.field("scores").type} if "scores" in part.schema.names else set()
            found["scores"] = pa.StructArray.from_arrays(
                [pc.struct_field(rows.column("scores"), axis.name).combine_chunks() if axis.name in had
                 else pa.nulls(len(places), axis.type) for axis in kind],
                fields=list(kind),
            )  # fmt: skip
        return pa.table([found[column.name].cast(column.type) for column in self.schema], schema=self.schema)

    def _harmless(self, rows: pa.Table) -> pa.Array:
        """The conversations, in which no word but the placeholder of their own image acts on a trainer."""
        made = []
        for row in rows.select(["conversations", "instruction", "response"]).to_pylist():
            turns: list[dict[str, str]] = []
            for turn in row["conversations"]:
                text = turn["value"]
                opening = PLACEHOLDER if not turns and text.startswith(PLACEHOLDER) else ""
                turns.append({**turn, "value": opening + harmless(text[len(opening) :])})
            made.append(turns)
            written = [row[name] or "" for name in ("instruction", "response")]
            self.texts_changed += [harmless(text) for text in written] != written
        return pa.array(made, pa.list_(TURN))

    def _seen(self, image: dict[str, Any]) -> dict[str, Any]:
        """The image with the bytes that are exported."""
        if self._keep is None or not image.get("bytes"):
            return image
        data, changed = _as_seen(image["bytes"])
        self.differing += changed
        return image if self._original else {**image, "bytes": data}

    def _name(self, image: dict[str, Any], digest: str | None) -> str | None:
        """A picture's name below the export, or its path where it stays behind; None where the row has none."""
        if digest is None:
            return None
        if self._keep is None:
            name = reference(image.get("path"), digest)
            self.without_path += name == digest
            return name
        return self._keep(image["bytes"])


def _as_seen(data: bytes) -> tuple[bytes, bool]:
    """`raster.as_seen`. Raises RunError for bytes that are no picture, which no admitted row holds."""
    try:
        return as_seen(data)
    except (PIL.UnidentifiedImageError, OSError, ValueError) as error:
        raise RunError(
            f"a part holds an image that can't be read ({error}); has the run folder been changed?"
        ) from None
