"""Finished runs of `oasis_n`, a recipe with lists, and changes of their parts, as damage would make them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.jobs import execute
from tests.support.recipe_jobs import write_recipe_job

Row = dict[str, Any]
SUMS = {
    "kind": {"kept": 10},
    "questions": {"kept": 7, "rejected: branch_caption": 3},
    "distinct": {"kept": 5, "rejected: near_duplicate": 2},
    "nonsense": {"kept": 5},
    "hallucination": {"kept": 3, "rejected: score_1": 2},
    "solvability": {"kept": 3},
    "clarity": {"kept": 2, "rejected: score_2": 1},
    "gate": {"kept": 2},
    "respond": {"kept": 2},
}


def list_run(folder: Path, nodes: str = "all") -> Path:
    """The job file of a finished run in `folder`, which keeps the outputs of `all` nodes or of `none`."""
    job = write_recipe_job(folder, "oasis_n", output={"path": str(folder / "run"), "nodes": nodes})
    execute(job)
    return job


def change(run: Path, damage: Callable[[Row], Any], name: str = "good", outcome: str = "accepted") -> Path:
    """Change a row in a part of a run; returns the part."""
    (part,) = (run / outcome).glob("*.parquet")
    table = pq.read_table(part)
    rows = table.to_pylist()
    damage(next(row for row in rows if row["id"] == name))
    pq.write_table(pa.Table.from_pylist(rows, table.schema), part)
    return part


def entry(row: Row, node: str) -> Row:
    """The entry of a node in a row's column `elements`."""
    return next(one for one in row["elements"] if one["node"] == node)
