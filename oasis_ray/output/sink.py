"""Sink: the Ray Data datasink of a run's parts. Each write task gathers some batches and writes their rows."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
from ray.data import Datasink

from oasis_ray.input.arrow_ipc import from_ipc
from oasis_ray.output.part_writer import PartWriter


class PartSink(Datasink[dict[str, int]]):  # type: ignore[misc]  # Ray ships no types
    """Datasink that passes serialised batches to a `PartWriter`; a write task returns its number of rows by outcome."""

    def __init__(self, writer: PartWriter, *, rows_per_part: int, rows_per_task: int) -> None:
        self._writer, self._batches = writer, max(1, rows_per_part // rows_per_task)

    @property
    def min_rows_per_write(self) -> int:
        """How many batches (to Ray: rows) are gathered for one part per outcome."""
        return self._batches

    def get_name(self) -> str:
        """The operator's name in Ray's logs and dashboard."""
        return "Parts"

    def write(self, blocks: Iterable[pa.Table], ctx: Any) -> dict[str, int]:
        """Write the rows of these serialised batches. A task that Ray retries replaces its own parts."""
        return self._writer.write([batch for block in blocks for batch in from_ipc(block)], ctx.task_idx)
