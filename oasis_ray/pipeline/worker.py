"""Row worker: the operator of the graph that carries rows through the nodes, each row as a coroutine.

A batch of rows comes in, its rows are worked on concurrently, and a batch of ended rows goes out, in input order. A
worker accepts more batches than its in-flight limit needs, so a slot that one row frees is taken by the next row of any
batch, and engines never wait for the slowest row of a batch. The order within a batch is fixed because Ray replays a
lost task by position: rows in another order would be lost and duplicated.

A row whose next node asks a pool that is not up in this phase goes out unfinished, to wait for a later phase.

Rows that neither ended nor wait are left out of the outgoing batch: no part holds them, so the next session works on
them. This happens to rows for which the infrastructure failed, and to rows that are no longer begun while draining.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pyarrow as pa

from oasis_ray.errors import OasisError, RowError
from oasis_ray.input.arrow_ipc import from_ipc, to_ipc
from oasis_ray.input.image_admission import admit
from oasis_ray.input.image_fetch import fetch
from oasis_ray.input.source_values import typed
from oasis_ray.job.job import Job
from oasis_ray.output.counts import EndedRow
from oasis_ray.output.record import batch as to_batch
from oasis_ray.output.row_state import elements, resume
from oasis_ray.pipeline.coordinator import Coordinator
from oasis_ray.pipeline.coordinator_state import WORKERS
from oasis_ray.pipeline.in_flight import InFlightLimit
from oasis_ray.pipeline.node import Asked, NodeRunner, drawn
from oasis_ray.pipeline.retry import RetryingPool, blame, turn
from oasis_ray.pipeline.snapshot import RowsAtNode
from oasis_ray.pipeline.walk import fresh_row, settle, walk
from oasis_ray.pool.replica_groups import most_engines
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.recipe.row import Row
from oasis_ray.recipe.source import image_of
from oasis_ray.types import FAILED, Divert, Image

REPORT_S = 2.0  # between two reports to the coordinator


@dataclass
class RowWorker:
    """Row worker. Ray Data makes one in each worker process, from these values."""

    job: Job
    recipe: Recipe
    pools: Mapping[str, Asked]
    digests: Mapping[str, str]
    coordinator: Coordinator | None = None  # None: only `carry` is called
    waiting: str | None = None  # the folder for rows that continue in the next phase

    def __post_init__(self) -> None:
        self._limit = InFlightLimit(self.job.rows_in_flight, self.job.workers)
        engines = most_engines(self.job.pools)
        # A request passes retry -> in-flight limit -> handle of the pool -> router -> replica -> engine.
        pools: Mapping[str, Asked] = {name: self._limit.gauge(pool, engines[name]) for name, pool in self.pools.items()}
        if self.coordinator is not None:
            pools = {name: RetryingPool(name, pool, self.coordinator) for name, pool in pools.items()}
        self._runners = [
            NodeRunner(node, pools.get(node.pool or ""), self.digests[node.name], self.job.seed, -place)
            for place, node in enumerate(self.recipe.nodes)
        ]
        self._flying: dict[str, Row] = {}
        self._turnstile = asyncio.Lock()
        self._steps, self._name = 0, uuid4().hex
        self._reporting: asyncio.Future[None] | None = None

    def close(self) -> None:
        """Stop reporting to the coordinator."""
        if self._reporting is not None:
            self._reporting.cancel()

    @property
    def _coordinator(self) -> Coordinator:
        assert self.coordinator is not None, "a worker that carries batches needs a coordinator"  # noqa: S101
        return self.coordinator

    async def __call__(self, block: pa.Table) -> AsyncIterator[pa.Table]:
        """Yield one batch of ended rows for one batch of rows; both as Arrow IPC bytes."""
        for rows in from_ipc(block):
            yield to_ipc(await self.carry_batch(rows))

    async def carry_batch(self, batch: pa.Table) -> pa.Table:
        """Carry a batch of input rows (`reader.read`); return those that have ended or wait, in input order."""
        self._reporting = self._reporting or asyncio.ensure_future(self._report())
        ended = await self._carry_all(batch.to_pylist())
        output = self.job.output
        return to_batch(
            ended,
            self.recipe,
            keep_images=output.keep_images,
            keep_nodes=output.nodes == "all",
            waiting=self.waiting,
        )

    async def _carry_all(self, rows: list[dict[str, Any]]) -> list[Row]:
        """Carry these rows; return those that have ended or wait, in input order."""
        coordinator, ids = self._coordinator, [row["id"] for row in rows]
        async with self._turnstile:  # batch by batch: one that has no slot for its first row is not begun yet
            await self._limit.free()
            suspects = await coordinator.begin(ids)
            if suspects is None:
                return []
            begun = [await self._begin(row) for row in rows if row["id"] not in suspects]
        carried = await asyncio.gather(*begun)
        carried += [await self._try_alone(row) for row in rows if row["id"] in suspects]
        position = {name: index for index, name in enumerate(ids)}
        finished = sorted((row for row in carried if row is not None), key=lambda row: position[row.id])
        ended = [row for row in finished if not row.waits]
        counted = [
            EndedRow(self.recipe.outcome_of(row.route), row.node, row.reason, row.lineage, row.moves, elements(row))
            for row in ended
        ]
        failed = [(row.id, row.node or "", row.reason or "") for row in ended if row.route == FAILED]
        coordinator.ended(ids, counted, failed, len(finished) - len(ended), sum(row.seconds for row in finished))
        return finished

    async def _begin(self, row: Mapping[str, Any]) -> "asyncio.Task[Row | None]":
        """Carry a row as soon as the in-flight limit allows it."""
        await self._limit.take()
        task = asyncio.ensure_future(self._try(row))
        task.add_done_callback(lambda _: self._limit.leave())
        return task

    async def _try(self, row: Mapping[str, Any]) -> Row | None:
        """Carry a row; return None on an infrastructure failure, which is reported to the coordinator."""
        try:
            return await self.carry(row)
        except OasisError as error:
            self._coordinator.fail(str(error))
        except Exception as error:
            self._coordinator.fail(f"row '{row['id']}': {type(error).__name__}: {error}")
        return None

    async def _try_alone(self, row: Mapping[str, Any]) -> Row | None:
        """Carry a suspected row, which was with workers that were lost, when its turn comes."""
        try:
            blame(await turn(self._coordinator, WORKERS, row["id"]), "a worker", "its process ended")
        except RowError as error:
            return settle(fresh_row(row), "worker", Divert(FAILED, error.reason, error.detail))
        except OasisError as error:
            self._coordinator.fail(str(error))
            return None
        ended = await self._try(row)
        self._coordinator.cleared(WORKERS, row["id"])
        return ended

    async def _report(self) -> None:
        """Report every few seconds how many requests were answered and at which node each row is."""
        while True:
            await asyncio.sleep(REPORT_S)
            nodes: dict[str, list[Row]] = {}
            for row in self._flying.values():
                nodes.setdefault(row.at, []).append(row)
            now, at_nodes = time.monotonic(), []
            for node, rows in nodes.items():
                oldest = min(rows, key=lambda row: row.since)
                at_nodes.append(RowsAtNode(node, len(rows), oldest.id, now - oldest.since))
            steps = self._steps + sum(len(row.lineage) for row in self._flying.values())
            self._coordinator.stand(self._name, steps, at_nodes)

    async def carry(self, source: Mapping[str, Any]) -> Row:
        """Carry one row, from the source or from its saved state, until it has an outcome or waits."""
        row, begun = fresh_row(source), time.monotonic()
        self._flying[row.id] = row
        if source.get("state") is not None:
            resume(row, source["state"], self.recipe)
        try:
            await self._carry(row, source)
        finally:
            self._flying.pop(row.id)
            row.seconds = time.monotonic() - begun
            self._steps += len(row.lineage)
        return row

    async def _carry(self, row: Row, source: Mapping[str, Any]) -> None:
        try:
            row.source = await self._read(row, source)
        except RowError as error:
            settle(row, "admit", Divert(FAILED, error.reason, error.detail))
            return
        await walk(row, self._runners, in_full=drawn(self.job.seed, row.id, self.job.score_in_full))

    async def _read(self, row: Row, source: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the row's source, and note its image. Raises RowError where one can't be used."""
        given, kinds = source.get("values") or {}, self.recipe.source
        values: dict[str, Any] = {name: typed(given[name], kinds[name]) for name in given}
        if (name := image_of(kinds)) is not None:
            values[name] = None
            if any((source["image"] or {}).values()) or not kinds[name].optional:
                image = await asyncio.to_thread(self._admit, source["image"])
                if row.digest not in (None, image.digest):
                    raise RowError("image_changed", "the image differs from the one that the row began with")
                values[name], row.digest = image, image.digest
                row.image = {"bytes": image.data, "path": (source["image"] or {}).get("path")}
        return values

    def _admit(self, image: Mapping[str, Any] | None) -> Image:
        config = self.job.input
        data, path = (image or {}).get("bytes"), (image or {}).get("path")
        if data is None and path and config.root is not None:
            data = fetch(config.root, path, config.limits.max_bytes, config.links)
        return admit(data, config.limits)


def batches_at_once(job: Job) -> int:
    """Return how many batches a worker holds at once: twice what its in-flight limit needs, and one.

    The slowest row of a batch keeps the batch; the slots of its other rows are filled from the next batches.
    """
    return 2 * max(1, job.rows_in_flight // job.rows_per_task // job.workers) + 1
