"""The graph: source, segment, sink, streaming through Ray Data with nothing materialised between them."""

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

# Reading and writing wait more than they compute; a whole CPU each would starve the engines of a small machine.
LIGHT_CPUS = 0.1
# Readers and writers for each worker. Ray would start one for every task that there is, and each is a process.
BESIDE_A_WORKER = 2


class DropBlockStats(ExecutionCallback):  # type: ignore[misc]  # Ray ships no types
    """Lets go of what Ray Data would keep of every block, for a table in its log at the end: some 3 KB a batch, which
    are gigabytes in the driver of ten million rows.
    """

    def on_execution_step(self, executor: Any) -> None:
        """Ray Data calls this each time that it has looked what there is to do."""
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
    """Batches of ended rows, lazily: nothing runs until they are written.

    Where `pools` has not all that the recipe asks, rows that come to a node of another go to the folder `waiting`.
    """
    context = DataContext.get_current()
    # One block a batch, and so one task a batch: a row of Ray's is a batch of ours (docs/decisions/0001-batches.md).
    context.target_max_block_size = context.target_min_block_size = 1
    context.enable_progress_bars = False
    context.memory_usage_poll_interval_s = None  # else a thread of each worker looks every second, for Ray Data's table
    context.custom_execution_callback_classes = [DropBlockStats]
    batches = batches_at_once(job)
    source = ShardSource(shards, job.rows_per_task, coordinator)
    rows = ray.data.read_datasource(
        source,
        override_num_blocks=len(source.get_read_tasks(0)),
        num_cpus=LIGHT_CPUS,
        compute=TaskPoolStrategy(BESIDE_A_WORKER * job.workers),
    )
    rows.set_name(job.output.path.rstrip("/").rpartition("/")[2])  # as Ray's dashboard shows it
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
