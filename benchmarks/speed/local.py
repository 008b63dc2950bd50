"""The whole job as a local run, in the process and with the engines of the floor."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from oasis_ray.cli import SHIPPED
from oasis_ray.engine.engine import Engine
from oasis_ray.job.load import load_job
from oasis_ray.job.pool import Pool
from oasis_ray.pool.local_pool import LocalPool
from oasis_ray.run.executor import Pools
from oasis_ray.run.local_executor import LocalExecutor
from oasis_ray.run.run import Run


class OpenExecutor(LocalExecutor):
    """A local executor whose engines are opened once, and stay open when a run ends."""

    def __init__(self, pools: Mapping[str, Pool], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop  # vLLM's clients belong to the event loop that first uses them
        super().start_pools(pools, "", gpus=dict.fromkeys(pools, False), labels={})

    @property
    def engines_open(self) -> dict[str, Engine]:
        """The engines themselves, by pool."""
        return {name: engine for name, pool in self._pools.items() if (engine := pool._engine) is not None}

    def start_pools(
        self, pools: Mapping[str, Pool], run: str, *, gpus: Mapping[str, bool], labels: dict[str, str]
    ) -> dict[str, LocalPool]:
        """The pools, which are open."""
        return {name: self._pools[name] for name in pools}

    def stop_pools(self, pools: Pools) -> None:
        """They stay open."""


def local(path: Path, executor: OpenExecutor) -> str:
    """Run a job as `oasis-ray run --local` does; its run folder."""
    run = Run(*load_job(path, SHIPPED))
    run.executor = executor
    run.execute()
    return run.folder
