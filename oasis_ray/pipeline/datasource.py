"""Datasource: the shards as a source of Ray Data.

A batch is one row of Ray Data that holds the rows of one task as Arrow IPC bytes: see docs/decisions/0001-batches.md.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from oasis_ray.input.arrow_ipc import to_ipc
from oasis_ray.input.reader import read
from oasis_ray.input.shards import RowGroup, Shards
from oasis_ray.job.input import Input
from oasis_ray.pipeline.coordinator import Coordinator

READ_TASKS = 2000  # at most: Ray Data keeps a record of every task from the start


class ShardSource(Datasource):  # type: ignore[misc]  # Ray ships no types
    """The shards as read tasks that yield batches of `rows_per_task` rows."""

    def __init__(self, shards: Shards, rows_per_task: int, coordinator: Coordinator | None = None) -> None:
        self._shards, self._rows_per_task, self._coordinator = shards, rows_per_task, coordinator

    def get_name(self) -> str:
        """The operator's name in Ray's logs and dashboard."""
        return "Shards"

    def estimate_inmemory_data_size(self) -> int | None:
        """Not known without reading the images."""
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """Read tasks of one or more whole row groups, so that a row's address never depends on Ray's blocks."""
        groups, each = self._shards.groups, -(-len(self._shards.groups) // READ_TASKS)
        tasks = [groups[at : at + each] for at in range(0, len(groups), max(1, each))]
        return [
            ReadTask(
                partial(
                    read_groups,
                    some,
                    self._shards.input,
                    self._rows_per_task,
                    self._coordinator,
                    tuple(self._shards.kept),
                ),
                BlockMetadata(sum(group.rows for group in some), None, None, None),
            )
            for some in tasks
        ]


def read_groups(
    groups: Sequence[RowGroup], given: Input, size: int, coordinator: Coordinator | None, kept: Sequence[str] = ()
) -> Iterator[pa.Table]:
    """Yield the rows of `groups` that are left to do, in batches as Arrow IPC bytes, until the run drains."""
    for group in groups:
        if coordinator is not None and coordinator.draining():
            return
        yield from map(to_ipc, read(group, given, size, kept))
