"""An engine answers requests. One protocol, and a module for each kind behind it.

`vllm` is the only module of the project that imports vllm; `openai` asks a server; `scripted` asks a Python function,
`simulated` does so in the time that a large model would take.
"""

from typing import Protocol

from oasis_ray.job.pool import Pool
from oasis_ray.types import Call, Reply

__all__ = ["Engine", "open_engine"]


class Engine(Protocol):
    """What a pool's replica holds."""

    async def ask(self, call: Call) -> Reply:
        """Answer one request. The same call gives the same reply.

        Raises RowError where the request itself can't be answered (`prompt_over_context`), PictureGoneError where it
        names a picture that the engine does not have, RunError or the engine's own exception where the engine can't.
        """
        ...

    async def check(self) -> None:
        """Return if the engine is well, raise if it is not."""
        ...

    def close(self) -> None:
        """End the engine and the processes that it has started. A process that ends needs not call it."""
        ...


def open_engine(pool: Pool, *, gpus: bool, sharing: int = 1, placed: bool = True) -> Engine:
    """Start the engine of a pool in this process.

    gpus: whether it runs on GPUs. sharing: how many engines share the machine's CPUs. placed: whether this process is a
    replica in a placement group of Ray, whose bundles hold the engine's GPUs.
    """
    match pool.backend:
        case "vllm":
            from oasis_ray.engine.vllm import VllmEngine

            return VllmEngine(pool, gpus=gpus, sharing=sharing, placed=placed)
        case "openai":
            from oasis_ray.engine.openai import OpenAIEngine

            return OpenAIEngine(pool)
        case "scripted":
            from oasis_ray.engine.scripted import ScriptedEngine

            return ScriptedEngine.named(pool.script or "")
        case "simulated":
            from oasis_ray.engine.scripted import ScriptedEngine
            from oasis_ray.engine.simulated import SimulatedEngine

            return SimulatedEngine(ScriptedEngine.named(pool.script or ""), pool.latency)
