"""The rows that the report shows: of each outcome, and of each reason, some that chance chose, with their pictures."""

import base64
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow.parquet as pq

from oasis_ray.errors import RowError
from oasis_ray.explore.row_image import Pictures
from oasis_ray.report.dataset import Dataset, read
from oasis_ray.report.totals import Totals
from oasis_ray.storage import locate
from oasis_ray.types import Outcome

OF_A_REASON = 8  # rows that are shown of each reason for being rejected or failed
THUMBNAIL_PX = 256
LONGEST = 3000  # characters of a text that are shown


@dataclass(frozen=True)
class Shown:
    """A row as the gallery shows it. `said` are the texts that the nodes wrote, by node."""

    id: str
    outcome: str
    node: str | None
    reason: str | None
    detail: str | None
    origin: str | None
    instruction: str | None
    response: str | None
    picture: str | None  # a data URI
    scores: Mapping[str, int] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)
    lineage: list[dict[str, Any]] = field(default_factory=list)
    source: str | None = None


def gallery(subject: Dataset, totals: Totals) -> list[Shown]:
    """The chosen rows, read in full."""
    wanted: dict[str, dict[int, str]] = defaultdict(dict)  # file → row → outcome
    for (outcome, reason), some in sorted(totals.gallery.items()):
        for (file, at), _ in some.chosen()[: OF_A_REASON if reason and outcome != Outcome.CAPTIONS else None]:
            wanted[file][at] = outcome
    pictures = Pictures(subject.manifest or {})
    found = [row for file, places in wanted.items() for row in _rows(subject, file, places, pictures)]
    order = list(map(str, Outcome))
    return sorted(found, key=lambda row: (order.index(row.outcome), row.node or "", row.reason or "", row.id))


def _rows(subject: Dataset, file: str, places: Mapping[int, str], pictures: Pictures) -> Iterator[Shown]:
    piece = next(piece for piece in subject.pieces if file in piece.files)
    full: dict[int, dict[str, Any]] = {}
    if piece.kind != "json":
        fs, _ = locate(subject.path)
        with fs.open(file, "rb") as stream:
            full = dict(_at(pq.ParquetFile(stream), places))
    if subject.manifest is not None:
        yield from (_shown(row, places[at], pictures) for at, row in full.items())
        return
    for rows in read(replace(piece, files=(file,))):
        for row in rows:
            if row.place[1] in places:
                image = full.get(row.place[1], {}).get("image")
                yield Shown(
                    row.id, row.outcome, row.node, row.reason, None, row.origin, _cut(row.instruction),
                    _cut(row.response), picture_uri(pictures, {"image": image}),
                )  # fmt: skip


def _at(shard: pq.ParquetFile, places: Iterable[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows at these places of a shard, reading the row groups that hold them."""
    begin = 0
    for group in range(shard.num_row_groups):
        end = begin + shard.metadata.row_group(group).num_rows
        here = sorted(at for at in places if begin <= at < end)
        if here:
            table = shard.read_row_group(group).take([at - begin for at in here])
            yield from zip(here, table.to_pylist(), strict=True)
        begin = end


def _shown(row: Mapping[str, Any], outcome: str, pictures: Pictures) -> Shown:
    nodes = {name: out for name, out in (row.get("nodes") or {}).items() if out is not None}
    return Shown(
        row["id"], outcome, row.get("node"), row.get("reason"), _cut(row.get("detail") or row.get("error")),
        row.get("origin"), _cut(row.get("instruction") or _written(nodes, "instruction")),
        _cut(row.get("response")), picture_uri(pictures, row),
        {name: out["score"] for name, out in nodes.items() if out.get("score") is not None},
        [{"node": name, "text": _cut(out.get("reply") or out.get("text") or "")}
         for name, out in nodes.items() if out.get("reply") or out.get("text")],
        row.get("lineage") or [], "{file} · row group {row_group} · row {row}".format(**row["source"]),
    )  # fmt: skip


def _written(nodes: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    """What the first node wrote as `name`."""
    return next((out[name] for out in nodes.values() if out.get(name)), None)


def picture_uri(pictures: Pictures, row: Mapping[str, Any]) -> str | None:
    """A small picture as a data URI, drawn anew from its pixels; None where there is none that can be shown."""
    if not isinstance(row.get("image"), Mapping | None):
        row = {**row, "image": {"bytes": row["image"]}}
    try:
        data = pictures.show(row, THUMBNAIL_PX)
    except RowError:
        return None
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}" if data else None


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text)} characters in all)"
