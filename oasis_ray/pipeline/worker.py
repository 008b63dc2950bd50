"""A segment: one operator of the graph, whose workers carry each row through the nodes as a coroutine.

A batch comes in, its rows go their ways at the same time, and a batch of ended rows goes out, in input order. A
worker has places for so many rows, and more batches than fill them: a place that a row leaves goes to the next row, of
whatever batch, so the engines never wait for a batch's slowest row. The order within a batch is fixed: Ray replays a
lost task by position, and rows that come back in another order would be lost and doubled.

A row whose next node asks a pool that is not up in this phase goes out as it is, to wait for it (`phases`).

Rows that have neither ended nor wait are left out of the batch that goes out: no part holds them, so the next session
has them to do. That is what becomes of rows for which the machinery failed, and of those that are not begun any more.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pyarrow as pa

from oasis_ray.errors import OasisError, RowError
from oasis_ray.input.admission import admit
from oasis_ray.input.image_file import fetch
from oasis_ray.input.ipc import from_ipc, to_ipc
from oasis_ray.job.job import Job
from oasis_ray.output.counts import EndedRow
from oasis_ray.output.record import batch as to_batch
from oasis_ray.output.row_state import resume
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
from oasis_ray.types import Divert, Image, Outcome, Route

TELL_S = 2.0


@dataclass
class RowWorker:
    """Carries rows through all nodes of a recipe. Ray Data makes one in each worker, from these values."""

    job: Job
    recipe: Recipe
    pools: Mapping[str, Asked]
    digests: Mapping[str, str]
    coordinator: Coordinator | None = None  # None: only `carry` is called
    waiting: str | None = None  # the folder of rows that go on in the next phase

    def __post_init__(self) -> None:
        self._places = InFlightLimit(self.job.rows_in_flight, self.job.workers)
        engines = most_engines(self.job.pools)
        pools: Mapping[str, Asked] = {name: self._places.room(pool, engines[name]) for name, pool in self.pools.items()}
        if self.coordinator is not None:
            pools = {name: RetryingPool(name, pool, self.coordinator) for name, pool in pools.items()}
        self._runners = [
            NodeRunner(node, pools.get(node.pool or ""), self.digests[node.name], self.job.seed, -place)
            for place, node in enumerate(self.recipe.nodes)
        ]
        self._flying: dict[str, Row] = {}
        self._door = asyncio.Lock()
        self._steps, self._name = 0, uuid4().hex
        self._telling: asyncio.Future[None] | None = None

    def close(self) -> None:
        """Report no more."""
        if self._telling is not None:
            self._telling.cancel()

    @property
    def _coordinator(self) -> Coordinator:
        assert self.coordinator is not None, "a worker that carries batches needs a coordinator"  # noqa: S101
        return self.coordinator

    async def __call__(self, block: pa.Table) -> AsyncIterator[pa.Table]:
        """One batch of rows in, one batch of the rows that have ended out."""
        for rows in from_ipc(block):
            yield to_ipc(await self.carry_batch(rows))

    async def carry_batch(self, batch: pa.Table) -> pa.Table:
        """A batch of the input's rows (`reader.read`) as one of the rows that have ended or wait, in input order."""
        self._telling = self._telling or asyncio.ensure_future(self._tell())
        ended = await self._carry_all(batch.to_pylist())
        return to_batch(ended, self.recipe, keep_images=self.job.output.keep_images, waiting=self.waiting)

    async def _carry_all(self, rows: list[dict[str, Any]]) -> list[Row]:
        """The rows that have ended or wait, in input order."""
        coordinator, ids = self._coordinator, [row["id"] for row in rows]
        async with self._door:  # batch by batch: one that has no place for its first row is not begun yet
            await self._places.free()
            suspects = await coordinator.begin(ids)
            if suspects is None:
                return []
            begun = [await self._begin(row) for row in rows if row["id"] not in suspects]
        found = await asyncio.gather(*begun)
        found += [await self._try_alone(row) for row in rows if row["id"] in suspects]
        out = sorted((row for row in found if row is not None), key=lambda row: ids.index(row.id))
        ended = [row for row in out if not row.waits]
        told: list[EndedRow] = [(row.outcome, row.node, row.reason, row.lineage) for row in ended]
        failed = [(row.id, row.node or "", row.reason or "") for row in ended if row.outcome is Outcome.FAILED]
        coordinator.ended(ids, told, failed, len(out) - len(ended), sum(row.seconds for row in out))
        return out

    async def _begin(self, row: Mapping[str, Any]) -> "asyncio.Task[Row | None]":
        """Carry a row as soon as there is a place for it."""
        await self._places.take()
        task = asyncio.ensure_future(self._try(row))
        task.add_done_callback(lambda _: self._places.leave())
        return task

    async def _try(self, row: Mapping[str, Any]) -> Row | None:
        """The row at its end, or None where the machinery failed, which is reported to the coordinator."""
        try:
            return await self.carry(row)
        except OasisError as error:
            self._coordinator.fail(str(error))
        except Exception as error:
            self._coordinator.fail(f"row '{row['id']}': {type(error).__name__}: {error}")
        return None

    async def _try_alone(self, row: Mapping[str, Any]) -> Row | None:
        """The same for a row that was there when workers were lost, when its turn comes."""
        try:
            blame(await turn(self._coordinator, WORKERS, row["id"]), "a worker", "its process ended")
        except RowError as error:
            return settle(fresh_row(row), "worker", Divert(Route.FAILED, error.reason, error.detail))
        except OasisError as error:
            self._coordinator.fail(str(error))
            return None
        ended = await self._try(row)
        self._coordinator.cleared(WORKERS, row["id"])
        return ended

    async def _tell(self) -> None:
        """Report every few seconds what was answered and where rows stand."""
        while True:
            await asyncio.sleep(TELL_S)
            nodes: dict[str, list[Row]] = {}
            for row in self._flying.values():
                nodes.setdefault(row.at, []).append(row)
            now, standing = time.monotonic(), []
            for node, rows in nodes.items():
                oldest = min(rows, key=lambda row: row.since)
                standing.append(RowsAtNode(node, len(rows), oldest.id, now - oldest.since))
            steps = self._steps + sum(len(row.lineage) for row in self._flying.values())
            self._coordinator.stand(self._name, steps, standing)

    async def carry(self, row: Mapping[str, Any]) -> Row:
        """One row from the source, or from where it stood, to its end, or to where it waits."""
        ended, begun = fresh_row(row), time.monotonic()
        self._flying[ended.id] = ended
        if row.get("state") is not None:
            resume(ended, row["state"], self.recipe)
        try:
            await self._carry(ended, row)
        finally:
            self._flying.pop(ended.id)
            ended.seconds = time.monotonic() - begun
            self._steps += len(ended.lineage)
        return ended

    async def _carry(self, ended: Row, row: Mapping[str, Any]) -> None:
        source: dict[str, Any] = dict(row.get("texts") or {})
        if self.job.input.image is not None:
            try:
                image = await asyncio.to_thread(self._admit, row["image"])
            except RowError as error:
                settle(ended, "admit", Divert(Route.FAILED, error.reason, error.detail))
                return
            if ended.digest not in (None, image.digest):
                text = "the picture is another than the one that the row began with"
                settle(ended, "admit", Divert(Route.FAILED, "image_changed", text))
                return
            source["image"], ended.digest = image, image.digest
            ended.image = {"bytes": image.data, "path": (row["image"] or {}).get("path")}
        await walk(ended, source, self._runners, in_full=drawn(self.job.seed, ended.id, self.job.score_in_full))

    def _admit(self, image: Mapping[str, Any] | None) -> Image:
        given = self.job.input
        data, path = (image or {}).get("bytes"), (image or {}).get("path")
        if data is None and path and given.root is not None:
            data = fetch(given.root, path, given.limits.max_bytes, given.links)
        return admit(data, given.limits)


def batches_at_once(job: Job) -> int:
    """Batches that a worker holds at once: twice what its slots hold. The slowest row of a batch keeps the batch, and
    the slots of its other rows are filled from the next.
    """
    return 2 * max(1, job.rows_in_flight // job.rows_per_task // job.workers) + 1
