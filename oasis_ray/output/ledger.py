"""The ledger: which rows have ended and how, read from the parts themselves.

There is no second book that could disagree with the data: a row has ended when a part holds it. What a killed session
may have left behind is put right when the next one begins: see `repair`.
"""

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.output.counts import SENT_AWAY, SUMS, Counts, End, Usage
from oasis_ray.output.parts import parts, read_part, read_parts, rewrite
from oasis_ray.types import Outcome


def ended_ids(folder: str) -> pa.ChunkedArray:
    """The ids of all rows that have ended. Reads the id columns alone."""
    chunks = [
        chunk
        for outcome in Outcome
        for table in read_parts(folder, outcome, ["id"])
        for chunk in table.column("id").chunks
    ]
    return pa.chunked_array(chunks, pa.string())


def counts_of(folder: str) -> Counts:
    """The tally of what a run folder holds."""
    tally = Counts()
    for outcome in Outcome:
        ends = ["node", "reason"] if outcome in SENT_AWAY else []
        for table in read_parts(folder, outcome, ["lineage", *ends]):
            tally.outcomes[str(outcome)] += table.num_rows
            if ends:
                for place in table.group_by(ends).aggregate([([], "count_all")]).to_pylist():
                    tally.reasons[str(outcome), place["node"] or "", place["reason"]] += place["count_all"]
            lineage = table.column("lineage").combine_chunks()
            steps = pa.Table.from_struct_array(lineage.flatten()).rename_columns({"node": "asked"})
            rows = pc.list_parent_indices(lineage)
            for name in ends:
                steps = steps.append_column(name, table.column(name).combine_chunks().take(rows))
            sums = [([], "count_all"), *((name, "sum") for name in SUMS)]
            for one in steps.group_by(["asked", *ends]).aggregate(sums).to_pylist():
                found = Usage(one["count_all"], *(one[f"{name}_sum"] for name in SUMS))
                end = End(str(outcome), *(one[name] or "" for name in ends))
                tally.cost(end, one["asked"]).merge(found)
    return tally


def reopen_failed(folder: str, reason: str | None) -> int:
    """Take the failed rows, or those with this reason, out of the parts, so that they are to do again; how many."""
    fs, paths = parts(folder, Outcome.FAILED)
    count = 0
    for path in paths:
        reasons = read_part(fs, path, ["reason"]).column("reason")
        keep = pc.fill_null(pc.not_equal(reasons, reason), True) if reason else pa.array([False] * len(reasons))
        gone = len(reasons) - pc.sum(keep).as_py() if len(reasons) else 0
        if gone:
            rewrite(fs, folder, Outcome.FAILED, path, keep)
            count += gone
    return count
