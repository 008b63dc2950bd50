"""Gallery of the report: a random sample of rows of each outcome and reason, with their images."""

import base64
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import pyarrow.parquet as pq

from oasis_ray.errors import RowError
from oasis_ray.explore.row_image import RowImages
from oasis_ray.output.node_scores import number_of
from oasis_ray.report.dataset import Dataset, Exchange, exchanges_of, read
from oasis_ray.report.totals import Totals
from oasis_ray.storage import locate
from oasis_ray.types import DROPPED

OF_A_REASON = 8  # rows per reason for being rejected or failed
THUMBNAIL_PX = 256
LONGEST = 3000  # characters of a text to show


@dataclass(frozen=True)
class Shown:
    """Row as the gallery shows it. `said` holds the texts written by the nodes."""

    id: str
    outcome: str
    node: str | None
    reason: str | None
    detail: str | None
    origin: str | None
    instruction: str | None
    response: str | None
    image: str | None  # data URI
    scores: Mapping[str, float] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)
    lineage: list[dict[str, Any]] = field(default_factory=list)
    source: str | None = None
    further: list[Exchange] = field(default_factory=list)  # instructions and responses after the first


def gallery(dataset: Dataset, totals: Totals) -> list[Shown]:
    """Return the sampled rows, read in full."""
    outcomes: dict[str, dict[int, str]] = defaultdict(dict)  # by file and index of the row
    for (outcome, reason), sample in sorted(totals.gallery.items()):
        for (file, at), _ in sample.chosen()[: OF_A_REASON if reason and outcome in DROPPED else None]:
            outcomes[file][at] = outcome
    images = RowImages(dataset.manifest or {})
    rows = [row for file, at_index in outcomes.items() for row in _rows(dataset, file, at_index, images)]
    order = dataset.outcomes
    return sorted(rows, key=lambda row: (order.index(row.outcome), row.node or "", row.reason or "", row.id))


def _rows(dataset: Dataset, file: str, outcomes: Mapping[int, str], images: RowImages) -> Iterator[Shown]:
    group = next(group for group in dataset.pieces if file in group.files)
    full: dict[int, dict[str, Any]] = {}
    if group.kind != "json":
        fs, _ = locate(dataset.path)
        with fs.open(file, "rb") as stream:
            full = dict(_at(pq.ParquetFile(stream), outcomes))
    if dataset.manifest is not None:
        yield from (_shown(row, outcomes[at], images) for at, row in full.items())
        return
    for rows in read(replace(group, files=(file,))):
        for row in rows:
            if row.place[1] in outcomes:
                image = full.get(row.place[1], {}).get("image")
                yield Shown(
                    row.id, row.outcome, row.node, row.reason, None, row.origin, _cut(row.instruction),
                    _cut(row.response), image_uri(images, {"image": image}), further=_all_cut(row.further),
                )  # fmt: skip


def _at(shard: pq.ParquetFile, indexes: Iterable[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows at these indexes of a shard, reading only the row groups that contain them."""
    begin = 0
    for group in range(shard.num_row_groups):
        end = begin + shard.metadata.row_group(group).num_rows
        inside = sorted(at for at in indexes if begin <= at < end)
        if inside:
            table = shard.read_row_group(group).take([at - begin for at in inside])
            yield from zip(inside, table.to_pylist(), strict=True)
        begin = end


def _shown(row: Mapping[str, Any], outcome: str, images: RowImages) -> Shown:
    nodes = {name: out for name, out in _outputs(row.get("nodes") or {}) if out is not None}
    return Shown(
        row["id"], outcome, row.get("node"), row.get("reason"), _cut(row.get("detail") or row.get("error")),
        row.get("origin"), _cut(row.get("instruction") or _written(nodes, "instruction")),
        _cut(row.get("response")), image_uri(images, row),
        {name: score for name, out in nodes.items() if _is_number(score := number_of(out))},
        [{"node": name, "text": _cut(out.get("reply") or out.get("text") or "")}
         for name, out in nodes.items() if out.get("reply") or out.get("text")],
        row.get("lineage") or [], "{file} · row group {row_group} · row {row}".format(**row["source"]),
        _all_cut(exchanges_of(row.get("conversations"))[1:]),
    )  # fmt: skip


def _outputs(nodes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the outputs of nodes by name, and those for elements of a list as `node[0]`, `node[1]`, …"""
    for name, out in nodes.items():
        if isinstance(out, list):
            yield from ((f"{name}[{at}]", element) for at, element in enumerate(out))
        else:
            yield name, out


def _is_number(score: Any) -> bool:
    """Whether a score can be shown: JSON has no NaN, which would make the page's data unreadable."""
    return isinstance(score, int | float) and isfinite(score)


def _written(nodes: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    """Return the first value of the field `name` among the outputs of the nodes."""
    return next((out[name] for out in nodes.values() if out.get(name)), None)


def image_uri(images: RowImages, row: Mapping[str, Any]) -> str | None:
    """Return a re-encoded thumbnail as a data URI, None if there is no image that can be shown."""
    if not isinstance(row.get("image"), Mapping | None):
        row = {**row, "image": {"bytes": row["image"]}}
    try:
        data = images.show(row, THUMBNAIL_PX)
    except RowError:
        return None
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}" if data else None


def _all_cut(exchanges: Iterable[Exchange]) -> list[Exchange]:
    return [(_cut(asked) or "", _cut(answered) or "") for asked, answered in exchanges]


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text)} characters in all)"
