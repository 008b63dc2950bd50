"""Local pool: one engine in this process for a local run, reopened when it is lost."""

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from oasis_ray.engine.engine import Engine, open_engine
from oasis_ray.errors import EngineLostError, OasisError, RunError, ServerFailedError
from oasis_ray.job.pool import Pool
from oasis_ray.pool.orphan_reaper import OrphanReaper, children
from oasis_ray.types import Call, Reply

CHECK_S = 5.0  # interval of health checks, as in Serve


class LocalPool:
    """Pool of one engine. `devices` is the value of CUDA_VISIBLE_DEVICES for it."""

    def __init__(
        self, name: str, pool: Pool, *, gpus: bool, sharing: int, devices: str | None = None, check_s: float = CHECK_S
    ) -> None:
        self.name, self._pool = name, pool
        self._gpus, self._sharing, self._devices = gpus, sharing, devices
        self._check_s = check_s
        self._engine: Engine | None = None
        self._lost: asyncio.Future[EngineLostError] | None = None
        self._reaper: OrphanReaper | None = None

    def open(self) -> None:
        """Start the engine. Raises the engine's errors."""
        variables = {} if self._devices is None else {"CUDA_VISIBLE_DEVICES": self._devices}
        if "VLLM_LOGGING_LEVEL" not in os.environ:
            variables["VLLM_LOGGING_LEVEL"] = "ERROR"  # keeps the terminal free; on a cluster this goes to log files
        before = children()
        with _own_environment(variables):
            self._engine = open_engine(self._pool, gpus=self._gpus, sharing=self._sharing, placed=False)
        if started := children() - before:
            self._reaper = OrphanReaper()
            self._reaper.watch(started)

    def close(self) -> None:
        """Close the engine and end the processes that it has started."""
        engine, self._engine, self._lost = self._engine, None, None
        if engine is not None:
            with suppress(Exception):  # a lost engine may fail to close
                engine.close()
        if self._reaper is not None:
            self._reaper.close()
            self._reaper = None

    @property
    def up(self) -> bool:
        """Whether the engine runs."""
        return self._engine is not None

    async def ask(self, call: Call) -> Reply:
        """Answer one call.

        Raises EngineLostError if the engine is lost meanwhile, which fails all its calls; the next call opens another
        engine. Exceptions that are not OasisErrors become RunErrors.
        """
        engine, lost = self._opened()
        began = time.monotonic()
        asked = asyncio.ensure_future(engine.ask(call))
        try:
            both: set[asyncio.Future[Any]] = {asked, lost}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise EngineLostError(str(lost.result()))
            reply = asked.result()
        except ServerFailedError:
            raise
        except EngineLostError as error:
            self._lose(engine, error)
            raise
        except OasisError:
            raise
        except Exception as error:
            raise RunError(f"pool '{self.name}': {type(error).__name__}: {error}") from error
        finally:
            asked.cancel()
        return replace(reply, engine=self.name, seconds=time.monotonic() - began)

    async def watch(self) -> None:
        """Check the engine's health every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(self._check_s)
            if (engine := self._engine) is not None:
                try:
                    await engine.check()
                except ServerFailedError:
                    continue  # the next request will show whether the server works
                except EngineLostError as error:
                    self._lose(engine, error)

    def _opened(self) -> tuple[Engine, "asyncio.Future[EngineLostError]"]:
        if self._engine is None:
            self.open()  # blocks the event loop: no row can continue without an engine
        if self._lost is None:
            self._lost = asyncio.get_running_loop().create_future()
        assert self._engine is not None  # noqa: S101
        return self._engine, self._lost

    def _lose(self, engine: Engine, error: EngineLostError) -> None:
        if self._engine is not engine:
            return  # another call has noticed it before
        if self._lost is not None:
            self._lost.set_result(error)
        self.close()


@contextmanager
def _own_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Context with these variables that restores the environment: engines set variables for their own processes."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
