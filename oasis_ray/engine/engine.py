"""Engine protocol: answers calls. One module per backend.

`vllm` is the only module of the project that imports vllm; `openai` asks a server; `scripted` calls a Python function;
`simulated` adds the latency of a large model to it.
"""

from typing import Protocol

from oasis_ray.job.pool import Pool
from oasis_ray.types import Call, Reply

__all__ = ["Engine", "open_engine"]


class Engine(Protocol):
    """A model that answers calls; one per replica of a pool."""

    async def ask(self, call: Call) -> Reply:
        """Answer one call. The same call gets the same reply.

        Raises RowError if the request itself can't be answered (`prompt_over_context`), ImageGoneError if it has only
        the digest of an image that the engine lacks, RunError or the engine's own exception if the engine fails.
        """
        ...

    async def check(self) -> None:
        """Return if the engine is healthy, raise if not."""
        ...

    def close(self) -> None:
        """Stop the engine and its subprocesses. Not needed before the process exits."""
        ...


def open_engine(pool: Pool, *, gpus: bool, sharing: int = 1, placed: bool = True) -> Engine:
    """Start the engine of a pool in this process.

    gpus: the engine runs on GPUs. sharing: number of engines that share the CPUs of the machine. placed: this process
    is a replica in a Ray placement group, whose bundles reserve the GPUs of the engine.
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
