"""Local executor: runs a job in this process, with one event loop and one engine per pool, without Ray.

Breakpoints in a stage work, and a small job starts in a second. Jobs that need a cluster are refused when they are
loaded (`load.beyond_local`).
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

from oasis_ray.cluster.nodes import Node
from oasis_ray.cluster.process_memory import own_mib
from oasis_ray.errors import OasisError, RunError
from oasis_ray.input.reader import read
from oasis_ray.job.pool import Pool
from oasis_ray.pipeline.coordinator import LocalCoordinator
from oasis_ray.pipeline.worker import RowWorker, batches_at_once
from oasis_ray.pool.local_pool import LocalPool
from oasis_ray.pool.placement import engines_on_cpus
from oasis_ray.pool.replica_groups import ReplicaGroup, replica_groups
from oasis_ray.run.executor import Pools, Work

LOOK_S = 0.2  # between two looks at an engine that starts, so that Ctrl-C takes effect
GPU_FILES = ("nvidia[0-9]*", "kfd", "dxg")  # below /dev, where there is a GPU: NVIDIA's, AMD's, and under WSL


class LocalExecutor:
    """The executor of this process, on this machine."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None  # used by the engines too, from the first rows on
        self._pools: dict[str, LocalPool] = {}
        self._starting = ""

    def join(self) -> None:
        """Do nothing: there is no cluster to join."""

    def nodes(self) -> list[Node]:
        """Return this machine."""
        return [Node(platform.node(), {"CPU": float(os.cpu_count() or 1), "GPU": float(gpu_count())}, "local")]

    def grows(self) -> bool:
        """Return False: no machine is added."""
        return False

    def start_coordinator(self, name: str) -> LocalCoordinator:
        """Return a coordinator in this process."""
        return LocalCoordinator()

    def start_pools(
        self, pools: Mapping[str, Pool], run: str, *, gpus: Mapping[str, bool], labels: dict[str, str]
    ) -> dict[str, LocalPool]:
        """Open the engines one after another, because each sets environment variables for its child processes."""
        sharing, devices = max(1, engines_on_cpus(pools, gpus)), gpus_of(pools, gpus)
        for name, pool in pools.items():
            opened = LocalPool(name, pool, gpus=gpus[name], sharing=sharing, devices=devices.get(name))
            self._starting = name
            try:
                self._open(opened, pool.start_timeout_s)
            except BaseException:
                self.stop_pools(self._pools)
                raise
            self._pools[name] = opened
        self._starting = ""
        return {name: self._pools[name] for name in pools}

    def _open(self, pool: LocalPool, patience_s: float) -> None:
        """Open an engine in a thread, so that signals and the timeout take effect meanwhile."""
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
        """Close the engines concurrently, and the event loop after the last one."""
        closing = [pool for name in list(pools) if (pool := self._pools.pop(name, None)) is not None]
        if closing:
            with ThreadPoolExecutor(len(closing)) as threads:
                list(threads.map(LocalPool.close, closing))
        if self._loop is not None and not self._pools:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            self._loop = None

    def execute(self, work: Work) -> None:
        """Carry the rows; those that have ended are written even if this is interrupted."""
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
        """Return one engine per pool, once it has started."""
        found = []
        for kind in replica_groups(pools):
            pool = self._pools.get(kind.pool)
            up = {"running": int(pool is not None and pool.up), "starting": int(kind.pool == self._starting)}
            found.append((kind, {"starting": up["starting"], "running": up["running"], "stopping": 0}))
        return found

    def states(self, pools: Pools) -> str:
        """Return which engines run."""
        return "; ".join(f"pool '{name}': {'1 running' if self._pools[name].up else 'no engine'}" for name in pools)

    def impossible(self, pools: Pools) -> str:
        """Return an empty text: all engines were opened before the first row."""
        return ""

    def used_mib(self) -> float:
        """Return the memory of this process and of its child processes, in MiB."""
        this = psutil.Process()
        return own_mib([this, *this.children(recursive=True)])

    def meter(self, run: str, session: str) -> None:
        """Return None: nobody collects metrics from this process."""


class _Parts:
    """Collects batches of ended rows until they fill a part."""

    def __init__(self, work: Work) -> None:
        self._writer, self._most = work.writer, work.job.output.rows_per_part
        self._batches: list[pa.Table] = []
        self._rows = self._written = 0

    @property
    def full(self) -> bool:
        """Whether there are enough rows for a part."""
        return self._rows >= self._most

    def add(self, batch: pa.Table, rows: int) -> None:
        """Add a batch of `rows` rows."""
        self._batches.append(batch)
        self._rows += rows

    def write(self) -> None:
        """Write the collected rows; rows that are added meanwhile belong to the next part."""
        batches, self._batches, self._rows = self._batches, [], 0
        if batches:
            self._writer.write(batches, self._written)
            self._written += 1


def _batches(work: Work) -> Iterator[pa.Table]:
    """Yield the rows of the input in batches, until the run drains."""
    for group in work.shards.groups:
        for batch in read(group, work.job.input, work.job.rows_per_task, tuple(work.shards.kept)):
            if work.coordinator.draining():
                return
            yield batch


async def _first(flying: "set[asyncio.Task[None]]") -> "set[asyncio.Task[None]]":
    """Wait until one of the tasks has ended; return the others. Raises what it raised."""
    done, left = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return left


@cache
def gpu_count() -> int:
    """Return the number of GPUs that torch sees. It is imported only where a device file exists: that takes seconds."""
    if not any(path for name in GPU_FILES for path in Path("/dev").glob(name)):
        return 0
    import torch

    return int(torch.cuda.device_count())


def gpus_of(pools: Mapping[str, Pool], gpus: Mapping[str, bool]) -> dict[str, str]:
    """Return for each pool on GPUs which of them its engine may see. Engines that share a GPU see the same one.

    The pools fit (`capacity.fit`). Only GPUs in CUDA_VISIBLE_DEVICES are used, where that is set.
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
