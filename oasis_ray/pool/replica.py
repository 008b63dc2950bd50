"""A replica of a pool: one engine in a process of its own, which ends with its engine."""

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
    """A Serve replica: one engine. It starts when the replica does, so a replica that runs is ready."""

    def __init__(self, pool: Pool, labels: Mapping[str, str], *, gpus: bool, sharing: int) -> None:
        self._engine = open_engine(pool, gpus=gpus, sharing=sharing)
        self._duty = BusyTime(Metrics(**labels))
        self._name = serve.get_replica_context().replica_id.unique_id

    async def ask(self, call: Call) -> Reply:
        """Answer one call. A replica whose engine is lost ends at once, and Serve starts another."""
        try:
            began = time.monotonic()
            with self._duty.request():
                reply = await self._engine.ask(call)
            return replace(reply, engine=self._name, seconds=time.monotonic() - began)
        except ServerFailedError:
            raise
        except EngineLostError as error:
            _end(error)
            raise

    async def check_health(self) -> None:
        """Serve asks this every few seconds."""
        self._duty.tell()
        try:
            await self._engine.check()
        except ServerFailedError:
            return  # what the server does with requests shows when it is asked
        except EngineLostError as error:
            _end(error)


def _end(reason: EngineLostError) -> None:
    """End this process and what it has started, at once: those who wait for it are to hear of it."""
    logging.getLogger("ray.serve").error("this engine is given up: %s", reason)
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    os._exit(1)
