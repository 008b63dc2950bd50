"""Replica of a pool: one engine in a process of its own, which exits when the engine is lost."""

import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import psutil
from ray import serve

from oasis_ray.cluster.metrics import BusyTime, Metrics
from oasis_ray.engine.engine import open_engine
from oasis_ray.errors import EngineLostError, ServerFailedError
from oasis_ray.job.pool import Pool
from oasis_ray.types import Call, Reply


class Replica:
    """Serve replica with one engine. The engine starts with the replica, so a running replica is ready."""

    def __init__(self, pool: Pool, labels: Mapping[str, str], *, gpus: bool, sharing: int) -> None:
        self._engine = open_engine(pool, gpus=gpus, sharing=sharing)
        self._busy_time = BusyTime(Metrics(**labels))
        self._name = serve.get_replica_context().replica_id.unique_id

    async def ask(self, call: Call) -> Reply:
        """Answer one call. If its engine is lost, the replica exits at once, and Serve starts another."""
        try:
            began = time.monotonic()
            with self._busy_time.request():
                reply = await self._engine.ask(call)
            return replace(reply, engine=self._name, seconds=time.monotonic() - began)
        except ServerFailedError:
            raise
        except EngineLostError as error:
            _end(error)
            raise

    async def check_health(self) -> None:
        """Check the engine; Serve calls this every few seconds."""
        self._busy_time.report()
        try:
            await self._engine.check()
        except ServerFailedError:
            return  # the next request will show whether the server works
        except EngineLostError as error:
            _end(error)


def _end(reason: EngineLostError) -> None:
    """Kill this process and its children at once, so that pending calls fail now."""
    logging.getLogger("ray.serve").error("this replica exits because its engine is lost: %s", reason)
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    os._exit(1)
