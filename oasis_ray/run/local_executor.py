"""A run in this process: one event loop carries the rows, each pool is one engine, and Ray is not imported.

A stage can be stepped through in a debugger, and a small job starts in a second. What needs a cluster is refused when
the job is loaded (`load.beyond_local`).
"""

import asyncio
import os
import platform
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil
import pyarrow as pa

from oasis_ray.cluster.memory import own_mib
from oasis_ray.cluster.nodes import Node
from oasis_ray.errors import OasisError, RunError
from oasis_ray.input.reader import read
from oasis_ray.job.pool import Pool
from oasis_ray.pipeline.coordinator import LocalCoordinator
from oasis_ray.pipeline.worker import RowWorker, batches_at_once
from oasis_ray.pool.local_pool import LocalPool
from oasis_ray.pool.placement import engines_on_cpus
from oasis_ray.pool.replica_groups import ReplicaGroup, replica_groups
from oasis_ray.run.executor import Pools, Work

LOOK_S = 0.2  # between two looks at an engine that starts, so that Ctrl-C is heard
GPU_FILES = ("nvidia[0-9]*", "kfd", "dxg")  # below /dev, where there is a GPU: NVIDIA's, AMD's, and under WSL


class LocalExecutor:
    """This process and this machine."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None  # the engines' own from the first rows on
        self._pools: dict[str, LocalPool] = {}
        self._starting = ""

    def join(self) -> None:
        """Nothing to join."""

    def nodes(self) -> list[Node]:
        """This machine."""
        return [Node(platform.node(), {"CPU": float(os.cpu_count() or 1), "GPU": float(gpu_count())}, "local")]

    def grows(self) -> bool:
        """It does not."""
        return False

    def start_coordinator(self, name: str) -> LocalCoordinator:
        """A watch in this process."""
        return LocalCoordinator()

    def start_pools(
        self, pools: Mapping[str, Pool], run: str, *, gpus: Mapping[str, bool], labels: dict[str, str]
    ) -> dict[str, LocalPool]:
        """Open the engines one after another, as each sets variables for the processes that it starts."""
        sharing, devices = max(1, engines_on_cpus(pools, gpus)), gpus_of(pools, gpus)
        for name, pool in pools.items():
            made = LocalPool(name, pool, gpus=gpus[name], sharing=sharing, devices=devices.get(name))
            self._starting = name
            try:
                self._open(made, pool.start_timeout_s)
            except BaseException:
                self.stop_pools(self._pools)
                raise
            self._pools[name] = made
        self._starting = ""
        return {name: self._pools[name] for name in pools}

    def _open(self, pool: LocalPool, patience_s: float) -> None:
        """Open an engine in a thread, which a signal and a timeout need not wait for."""
        opened: Future[None] = Future()

        def work() -> None:
            try:
                opened.set_result(pool.open())  # type: ignore[func-returns-value]
            except BaseException as error:
                opened.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        waited = 0.0
        while not wait([opened], timeout=LOOK_S).done:
            if (waited := waited + LOOK_S) > patience_s:
                raise RunError(f"the pools did not come up within start_timeout_s: pool '{pool.name}': 1 starting")
        try:
            opened.result()
        except OasisError as error:
            raise RunError(f"the pools did not come up: pool '{pool.name}': {error}") from None
        except Exception as error:
            text = f"pool '{pool.name}': {type(error).__name__}: {error}"
            raise RunError(f"the pools did not come up: {text}") from error

    def stop_pools(self, pools: Pools) -> None:
        """Close the engines, side by side, as each waits for its processes to end; and the event loop with the last."""
        closing = [pool for name in list(pools) if (pool := self._pools.pop(name, None)) is not None]
        if closing:
            with ThreadPoolExecutor(len(closing)) as threads:
                list(threads.map(LocalPool.close, closing))
        if self._loop is not None and not self._pools:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            self._loop = None

    def execute(self, work: Work) -> None:
        """Carry the rows, and write those that have ended also where this is interrupted."""
        loop = self._loop = self._loop or asyncio.new_event_loop()
        stream = loop.create_task(self._stream(work))
        try:
            loop.run_until_complete(stream)
        except BaseException:
            stream.cancel()
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(stream)
            raise

    async def _stream(self, work: Work) -> None:
        worker = RowWorker(work.job, work.recipe, work.pools, work.digests, work.coordinator, work.waiting)
        parts, batches, most = _Parts(work), iter(_batches(work)), batches_at_once(work.job)
        watching = [asyncio.ensure_future(pool.watch()) for pool in self._pools.values()]
        flying: set[asyncio.Task[None]] = set()

        async def carry(batch: pa.Table) -> None:
            parts.add(await worker.carry_batch(batch), batch.num_rows)

        try:
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                flying.add(asyncio.create_task(carry(batch)))
                if len(flying) >= most:
                    flying = await _first(flying)
                if parts.full:
                    await asyncio.to_thread(parts.write)
            while flying:
                flying = await _first(flying)
        finally:
            for task in (*flying, *watching):
                task.cancel()
            await asyncio.gather(*flying, *watching, return_exceptions=True)
            worker.close()
            parts.write()

    def engines(self, run: str, pools: Mapping[str, Pool]) -> list[tuple[ReplicaGroup, dict[str, int]]]:
        """One engine per pool, once it has started."""
        found = []
        for kind in replica_groups(pools):
            pool = self._pools.get(kind.pool)
            up = {"running": int(pool is not None and pool.up), "starting": int(kind.pool == self._starting)}
            found.append((kind, {"starting": up["starting"], "running": up["running"], "stopping": 0}))
        return found

    def states(self, pools: Pools) -> str:
        """Which engines run."""
        return "; ".join(f"pool '{name}': {'1 running' if self._pools[name].up else 'no engine'}" for name in pools)

    def impossible(self, pools: Pools) -> str:
        """None is: they were opened before the rows were."""
        return ""

    def used_mib(self) -> float:
        """The memory of this process and of those that its engines have started."""
        this = psutil.Process()
        return own_mib([this, *this.children(recursive=True)])

    def meter(self, run: str, session: str) -> None:
        """Nobody collects metrics from this process."""


class _Parts:
    """Gathers batches of ended rows until they make a part."""

    def __init__(self, work: Work) -> None:
        self._writer, self._most = work.writer, work.job.output.rows_per_part
        self._batches: list[pa.Table] = []
        self._rows = self._written = 0

    @property
    def full(self) -> bool:
        """Whether a part's rows are there."""
        return self._rows >= self._most

    def add(self, batch: pa.Table, rows: int) -> None:
        """Gather a batch of `rows` rows."""
        self._batches.append(batch)
        self._rows += rows

    def write(self) -> None:
        """Write what was gathered; what comes meanwhile is for the next part."""
        batches, self._batches, self._rows = self._batches, [], 0
        if batches:
            self._writer.write(batches, self._written)
            self._written += 1


def _batches(work: Work) -> Iterator[pa.Table]:
    """The rows of the input, a few at a time, until the run drains."""
    for group in work.shards.groups:
        for batch in read(group, work.job.input, work.job.rows_per_task):
            if work.coordinator.draining():
                return
            yield batch


async def _first(flying: "set[asyncio.Task[None]]") -> "set[asyncio.Task[None]]":
    """Wait until one of the tasks has ended; the others. Raises what it raised."""
    done, left = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return left


@cache
def gpu_count() -> int:
    """How many GPUs torch sees. It is imported only where a device file says that there are any: that takes seconds."""
    if not any(path for name in GPU_FILES for path in Path("/dev").glob(name)):
        return 0
    import torch

    return int(torch.cuda.device_count())


def gpus_of(pools: Mapping[str, Pool], gpus: Mapping[str, bool]) -> dict[str, str]:
    """For each pool on GPUs those that its engine may see: whole ones in order, and shares of one beside each other.

    The pools fit (`capacity.fit`). A pool sees GPUs of CUDA_VISIBLE_DEVICES alone, where that is set.
    """
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    known = [name.strip() for name in names.split(",") if name.strip()]
    free = [1.0] * (len(known) or gpu_count() if any(gpus.values()) else 0)
    found = {}
    for name in sorted((name for name in pools if gpus[name]), key=lambda name: -pools[name].gpus_per_engine):
        chosen = [at for at, rest in enumerate(free) if rest >= pools[name].gpu_share - 1e-9]
        chosen = chosen[: pools[name].gpus_per_engine]
        for at in chosen:
            free[at] -= pools[name].gpu_share
        found[name] = ",".join(known[at] if known else str(at) for at in chosen)
    return found
