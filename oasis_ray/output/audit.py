"""Audit: proves from the files alone that every input row ended exactly once.

What must hold: the rows of all outcomes add up to the input rows; each input id occurs once and no other id occurs;
every part is readable; every step has a digest that the manifest lists; the elements of lists are all accounted for.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oasis_ray.errors import JobError, counted
from oasis_ray.input.ids import repeated, some
from oasis_ray.input.shards import open_shards
from oasis_ray.job.input import Input
from oasis_ray.output.counts import Counts
from oasis_ray.output.element_audit import Lists, PartElements, lists_of
from oasis_ray.output.element_sums import Sums, differences, sums_of
from oasis_ray.output.manifest import naming_of, read_manifest
from oasis_ray.output.outcomes import outcomes_of
from oasis_ray.output.parts import parts
from oasis_ray.output.removed_rows import REMOVED, removed_ids
from oasis_ray.output.schema import ELEMENT_STEP, ELEMENTS, STEP

TYPES = {"id": [pa.string()], "lineage": [pa.list_(STEP), pa.list_(ELEMENT_STEP)], "elements": [ELEMENTS]}
OPTIONAL = ("elements",)  # columns that only some runs have


@dataclass
class Audit:
    """Result of an audit. The run is sound if `faults` is empty; `notes` list what could not be checked.

    elements: by node with `for_each`, the elements that it kept, and those that it dropped by exit.
    """

    rows: int
    outcomes: dict[str, int] = field(default_factory=dict)
    parts: int = 0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    elements: Sums = field(default_factory=dict)


def audit(folder: str) -> Audit:
    """Check a run folder. Raises JobError if it is not one."""
    manifest = read_manifest(folder)
    result = Audit(manifest["input"]["rows"])
    if manifest["state"] != "done":
        result.faults.append(f"the run is {manifest['state']}, not done")
    configs = [manifest, *manifest["earlier"]]
    digests = {(node["name"], node["digest"]) for config in configs for node in config["nodes"]}
    lists, elements = lists_of(manifest), Counts().elements
    chunks: list[pa.Array] = []
    for outcome in outcomes_of(manifest):
        fs, paths = parts(folder, outcome)
        result.outcomes[outcome] = 0
        for path in paths:
            result.parts += 1
            try:
                table, held = _read(fs, path, outcome, lists)
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                result.faults.append(f"{path} can't be read: {error}")
                continue
            chunks.extend(table.column("id").chunks)
            result.outcomes[outcome] += table.num_rows
            elements.update(held.counts.elements)
            result.faults.extend(f"{path}: {text}" for text in [*_unknown_steps(table, digests), *held.faults()])
    ended = pa.chunked_array(chunks, pa.string())
    _compare(ended, manifest, result)
    removed = removed_ids(folder)
    if len(removed):
        result.notes.append(f"{len(removed)} rows that ended are no longer in the input; they are kept in {REMOVED}/")
    if len(both := pc.unique(removed.filter(pc.is_in(removed, value_set=ended.combine_chunks())))):
        result.faults.append(f"{counted(len(both), 'id')} both in parts and in {REMOVED}/: {some(both.to_pylist())}")
    stated = manifest.get("rows")
    if stated is not None and stated != result.outcomes:
        result.faults.append(f"the parts hold {result.outcomes}, the manifest says {stated}")
    nodes = [node["name"] for node in manifest["nodes"] if node.get("for_each")]
    result.elements = sums_of(elements, nodes)
    if stated == result.outcomes:  # else the elements of the rows that differ are not comparable
        result.faults.extend(differences(elements, manifest, nodes))
    return result


def _read(fs: Any, path: str, outcome: str, lists: Lists) -> tuple[pa.Table, PartElements]:
    """Read every page of a part, images too. Return its ids and lineages, and what it holds of the elements of lists.

    Raises ArrowException, OSError or UnicodeDecodeError if it can't be read, or a column has another type.
    """
    with fs.open(path, "rb") as stream:
        table = pq.read_table(stream, columns=["id", "lineage"])
    held = PartElements(outcome, lists)
    with fs.open(path, "rb") as stream:
        part = pq.ParquetFile(stream)
        for column, kinds in TYPES.items():
            if column in OPTIONAL and column not in part.schema_arrow.names:
                continue
            if (kind := part.schema_arrow.field(column).type) not in kinds:
                raise pa.ArrowTypeError(f"column '{column}' is {kind}, not {kinds[0]}")
        for batch in part.iter_batches(batch_size=64):
            batch.validate()
            if "elements" in batch.schema.names:
                held.add(batch)
    return table, held


def _unknown_steps(table: pa.Table, digests: set[tuple[str, str]]) -> list[str]:
    steps = table.column("lineage").combine_chunks().flatten()
    seen = Counter(zip(steps.field("node").to_pylist(), steps.field("digest").to_pylist(), strict=True))
    return [f"{counted(n, 'step')} of node '{node}' with digest {digest}, which the manifest does not list"
            for (node, digest), n in seen.items() if (node, digest) not in digests]  # fmt: skip


def _compare(ended: pa.ChunkedArray, manifest: dict[str, Any], result: Audit) -> None:
    """Compare the ids that ended with the ids of the input."""
    twice = repeated(ended)
    if len(twice):
        result.faults.append(f"{counted(len(twice), 'id')} ended more than once: {some(twice.to_pylist())}")
    try:
        shards = open_shards(Input.model_validate(manifest["job"]["input"]), naming_of(manifest))
    except JobError as error:
        result.notes.append(f"the input can't be read, so rows are only counted ({error.problems[0]})")
        if len(ended) != result.rows:
            result.faults.append(f"{len(ended)} rows ended, the input had {result.rows}")
        return
    expected = shards.ids_todo
    result.rows = len(expected)
    lost = expected.filter(pc.invert(pc.is_in(expected, value_set=ended.combine_chunks())))
    extra = ended.filter(pc.invert(pc.is_in(ended, value_set=expected.combine_chunks())))
    for problem, ids in (("of the input never ended", lost), ("ended but not in the input", extra)):
        if len(ids):
            result.faults.append(f"{counted(len(ids), 'id')} {problem}: {some(ids.to_pylist())}")
