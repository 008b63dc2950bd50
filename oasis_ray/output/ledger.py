"""Ledger: which rows have ended and how, read from the parts themselves.

A row has ended when a part holds it; no second list exists that could disagree with the data. What a killed session
may have left behind is cleaned up when the next one begins: see `repair`.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.output.counts import SUMS, Counts, End, Usage
from oasis_ray.output.manifest import read_manifest
from oasis_ray.output.moves import count_moves
from oasis_ray.output.outcomes import outcomes_in, outcomes_of
from oasis_ray.output.parts import parts, read_part, read_parts, rewrite
from oasis_ray.types import DROPPED, FAILED


def ended_ids(folder: str, outcomes: Sequence[str] = ()) -> pa.ChunkedArray:
    """Return the ids of all rows that have ended. Reads only the id columns.

    outcomes: the folders to look in; by default those of the run's manifest.
    """
    chunks = [
        chunk
        for outcome in outcomes or outcomes_in(folder)
        for table in read_parts(folder, outcome, ["id"])
        for chunk in table.column("id").chunks
    ]
    return pa.chunked_array(chunks, pa.string())


def counts_of(folder: str) -> Counts:
    """Return the counts of a run folder."""
    counts, manifest = Counts(), read_manifest(folder)
    for outcome in outcomes_of(manifest):
        ends = ["node", "reason"] if outcome in DROPPED else []
        for table in read_parts(folder, outcome, ["lineage", *ends], ["moves", "elements"]):
            counts.outcomes[outcome] += table.num_rows
            counts.moves += count_moves(table, outcome, manifest)
            if ends:
                for group in table.group_by(ends).aggregate([([], "count_all")]).to_pylist():
                    counts.reasons[outcome, group["node"] or "", group["reason"]] += group["count_all"]
            if "elements" in table.column_names:
                for entry in table.column("elements").combine_chunks().flatten().to_pylist():
                    counts.add_elements(entry)
            lineage = table.column("lineage").combine_chunks()
            steps = pa.Table.from_struct_array(lineage.flatten()).rename_columns({"node": "asked"})
            rows = pc.list_parent_indices(lineage)
            for name in ends:
                steps = steps.append_column(name, table.column(name).combine_chunks().take(rows))
            sums = [([], "count_all"), *((name, "sum") for name in SUMS)]
            for group in steps.group_by(["asked", *ends]).aggregate(sums).to_pylist():
                usage = Usage(group["count_all"], *(group[f"{name}_sum"] for name in SUMS))
                end = End(outcome, *(group[name] or "" for name in ends))
                counts.cost(end, group["asked"]).merge(usage)
    return counts


def reopen_failed(folder: str, reason: str | None) -> int:
    """Remove failed rows, all or those with this reason, so that they are processed again. Return how many."""
    fs, paths = parts(folder, FAILED)
    count = 0
    for path in paths:
        reasons = read_part(fs, path, ["reason"]).column("reason")
        keep = pc.fill_null(pc.not_equal(reasons, reason), True) if reason else pa.array([False] * len(reasons))
        reopened = len(reasons) - pc.sum(keep).as_py() if len(reasons) else 0
        if reopened:
            rewrite(fs, folder, FAILED, path, keep)
            count += reopened
    return count
