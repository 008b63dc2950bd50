"""The sink: what write tasks of Ray Data get, and what they make of it. No cluster is needed."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa

from oasis_ray.cli import SHIPPED
from oasis_ray.input.arrow_ipc import to_ipc
from oasis_ray.job.load import load_job
from oasis_ray.output.part_writer import PartWriter
from oasis_ray.output.record import batch
from oasis_ray.output.sink import PartSink
from oasis_ray.pipeline.walk import settle
from oasis_ray.recipe.row import Row
from oasis_ray.types import FAILED, REJECTED, Divert
from tests.support.jobs import outcomes


def test_a_write_task_that_runs_again_replaces_its_parts_and_passes_over_empty_blocks(
    tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    _, recipe = load_job(job_file(), SHIPPED)
    sink = PartSink(PartWriter(str(tmp_path / "run"), recipe, session="s"), rows_per_part=8, rows_per_task=8)

    def ended(route: str) -> pa.Table:
        row = Row("a", {"file": "s", "row_group": 0, "row": 0}, None, None)
        return to_ipc(batch([settle(row, "hook", Divert(route, "why"))], recipe, keep_images=False))

    nothing = pa.table({})  # what comes from a read task that found the run draining
    for route in (REJECTED, FAILED):
        sink.write([nothing, ended(route), nothing], SimpleNamespace(task_idx=0))
    assert sink.write([nothing], SimpleNamespace(task_idx=1)) == {}
    assert outcomes(tmp_path / "run") == {"failed": ["a"]}
