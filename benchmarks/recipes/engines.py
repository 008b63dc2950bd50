"""Engines that several jobs share: one for each model, started when the first job asks for it."""

from collections.abc import Mapping
from typing import Any

from oasis_ray.job.pool import Pool
from oasis_ray.pool.local_pool import LocalPool
from oasis_ray.run.executor import Pools
from oasis_ray.run.local_executor import LocalExecutor


class SharedEngines(LocalExecutor):
    """A local executor whose engines stay up when a run has ended, for the next run. `end` stops them.

    Pools with the same model are one engine.
    """

    def __init__(self) -> None:
        super().__init__()
        self._engines: dict[str, LocalPool] = {}

    def start_pools(self, pools: Mapping[str, Pool], *args: Any, **keys: Any) -> dict[str, LocalPool]:
        """Start the engines that do not run yet."""
        for name, pool in pools.items():
            if pool.model not in self._engines:
                self._engines |= {pool.model: super().start_pools({name: pool}, *args, **keys)[name]}
        self._pools = {name: self._engines[pool.model] for name, pool in pools.items()}
        return dict(self._pools)

    def stop_pools(self, pools: Pools) -> None:
        """Keep the engines."""

    def end(self) -> None:
        """Stop all engines."""
        self._pools = dict(self._engines)
        self._engines = {}
        super().stop_pools(dict(self._pools))
