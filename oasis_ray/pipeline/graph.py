"""Graph: source, row workers and sink as a stream of Ray Data, with nothing materialised between them."""

from collections.abc import Mapping
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset, TaskPoolStrategy
from ray.data._internal.execution.execution_callback import ExecutionCallback

from oasis_ray.input.shards import Shards
from oasis_ray.job.job import Job
from oasis_ray.pipeline.coordinator import Coordinator
from oasis_ray.pipeline.datasource import ShardSource
from oasis_ray.pipeline.worker import RowWorker, batches_at_once
from oasis_ray.pool.handle import PoolHandle, worker_env
from oasis_ray.recipe.recipe import Recipe

# Reading and writing mostly wait; a whole CPU each would starve the engines on a small machine.
LIGHT_CPUS = 0.1
# Readers and writers per worker. Ray would start one process for every task.
BESIDE_A_WORKER = 2


class DropBlockStats(ExecutionCallback):  # type: ignore[misc]  # Ray ships no types
    """Drops the statistics that Ray Data keeps of every block for its log.

    They are about 3 KB per batch, which would be gigabytes in the driver of a run over ten million rows.
    """

    def on_execution_step(self, executor: Any) -> None:
        """Called by Ray Data after each scheduling step."""
        for operator in executor._topology:
            for blocks in operator.get_stats().values():
                blocks.clear()


def build(
    shards: Shards,
    job: Job,
    recipe: Recipe,
    pools: Mapping[str, PoolHandle],
    digests: Mapping[str, str],
    coordinator: Coordinator,
    waiting: str | None = None,
) -> Dataset:
    """Return batches of ended rows, lazily: nothing runs until they are written.

    A row whose next node asks a pool that is not in `pools` is written to the folder `waiting`.
    """
    context = DataContext.get_current()
    # One block per batch, and so one task per batch: a row of Ray Data is a batch of ours
    # (docs/decisions/0001-batches.md).
    context.target_max_block_size = context.target_min_block_size = 1
    context.enable_progress_bars = False
    context.memory_usage_poll_interval_s = None  # else a thread of each worker polls every second
    context.custom_execution_callback_classes = [DropBlockStats]
    batches = batches_at_once(job)
    source = ShardSource(shards, job.rows_per_task, coordinator)
    rows = ray.data.read_datasource(
        source,
        override_num_blocks=len(source.get_read_tasks(0)),
        num_cpus=LIGHT_CPUS,
        compute=TaskPoolStrategy(BESIDE_A_WORKER * job.workers),
    )
    rows.set_name(job.output.folder.rpartition("/")[2])  # shown on Ray's dashboard
    return rows.map_batches(
        RowWorker,
        fn_constructor_args=(job, recipe, dict(pools), dict(digests), coordinator, waiting),
        batch_size=1,
        batch_format="pyarrow",
        zero_copy_batch=True,
        num_cpus=LIGHT_CPUS,
        runtime_env=worker_env(),
        compute=ActorPoolStrategy(
            size=job.workers, max_tasks_in_flight_per_actor=batches, max_concurrent_calls_per_actor=batches
        ),
    )
