"""Engines of vLLM that tests share, as each takes half a minute to start; and the processes behind engines."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import yaml

from benchmarks.demo_images import broken, write_shards
from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import load_job
from oasis_ray.job.pool import Pool
from oasis_ray.pipeline.coordinator import LocalCoordinator
from oasis_ray.pipeline.retry import RetryingPool
from oasis_ray.run.executor import Pools
from oasis_ray.run.local_executor import LocalExecutor
from oasis_ray.run.run import Run
from oasis_ray.types import Call, Reply, Request, Sampling
from tests.support.checkout import ROOT
from tests.support.cluster import ENGINES
from tests.support.models import LLM, VLM

if TYPE_CHECKING:
    from oasis_ray.pool.handle import PoolHandle

ROWS = 12
THREADS = 3  # of the LLM's engine; the VLM's has its share of the cores
DRAWN = Sampling(temperature=1.0, top_k=20, max_tokens=16, min_tokens=4)
SHORT = Sampling(max_tokens=16)


class Kept(LocalExecutor):
    """A local executor whose engines stay up when their run has ended, for calls by hand; `end` stops them."""

    def stop_pools(self, pools: Pools) -> None:
        pass

    def end(self) -> None:
        super().stop_pools(self._pools)

    def ask(self, pool: str, *calls: Call) -> list[Reply]:
        """Ask all calls at once, in the loop in which the rows were carried."""

        async def gather() -> list[Reply]:
            return list(await asyncio.gather(*(self._pools[pool].ask(call) for call in calls)))

        return self._loop.run_until_complete(gather())


class Borrowing(Kept):
    """A local executor for a run on the engines of another one, which keeps them."""

    def __init__(self, lender: Kept) -> None:
        super().__init__()
        self._lender = lender

    def start_pools(self, pools: Mapping[str, Pool], *_: Any, **__: Any) -> dict[str, Any]:
        self._loop, self._pools = self._lender._loop, {name: self._lender._pools[name] for name in pools}
        return self._pools


def run_recipe(kept: Kept, folder: Path, document: dict[str, Any]) -> Path:
    """Run a job on the demo's engines in this process; return its run folder."""
    vlm, llm = ({"model": str(model), "device": ENGINES, "max_context_tokens": 1024} for model in (VLM, LLM))
    pools = {"vlm": vlm, "llm": llm}
    (folder / "job.yaml").write_text(yaml.safe_dump({"executor": "local", "pools": pools, **document}))
    run = Run(*load_job(folder / "job.yaml", SHIPPED))
    run.executor = Borrowing(kept)
    run.execute()
    return Path(run.folder)


def run_demo(folder: Path) -> Kept:
    """Run the demo's job, with fewer rows, in this process: the run is in `folder / "run"`."""
    write_shards(folder / "shards", "test", ROWS, broken())
    job = yaml.safe_load((ROOT / "cluster/jobs/demo.yaml").read_text(encoding="utf-8"))
    job |= {
        "prompts": str(ROOT / "prompts/short"),
        "input": {"path": str(folder / "shards"), "id": "id"},
        "output": {"path": str(folder / "run"), "rows_per_part": 8},
        "executor": "local",
        "max_failed": 1.0,
    }
    more = {"device": ENGINES, "max_context_tokens": 1024, "max_sequences": 16}
    vlm, llm = (job["pools"][name] | more for name in ("vlm", "llm"))
    del vlm["threads"]
    # Larger pictures too, and room for one or two of 448 x 448 pixels, as vLLM keeps them.
    vlm |= {"model": str(VLM), "image_pixels": [112 * 112, 448 * 448], "engine_args": {"mm_processor_cache_gb": 0.006}}
    llm |= {"model": str(LLM), "threads": THREADS}
    (folder / "job.yaml").write_text(yaml.safe_dump(job | {"pools": {"vlm": vlm, "llm": llm}}, sort_keys=False))
    os.environ["SPT_NOENV"] = "1"  # a process that gives itself a title leaves its environment readable
    run = Run(*load_job(folder / "job.yaml", SHIPPED))
    run.executor = kept = Kept()
    try:
        run.execute()
    except BaseException:
        kept.end()
        raise
    return kept


def cores_here() -> list[psutil.Process]:
    """The processes of engines that this process has started, in their order."""
    below = psutil.Process().children(recursive=True)
    found = [child for child in below if "VLLM::" in title(child) and "ray::" not in title(child.parent())]
    return sorted(found, key=psutil.Process.create_time)


def small_llm(**keys: object) -> Pool:
    """A pool with an engine on a model that answers within milliseconds."""
    given = {"gpu_share": 0.2, "max_context_tokens": 1024, "max_sequences": 16}
    return Pool.model_validate({"model": str(LLM), "device": ENGINES} | given | keys)


def cores(app: str) -> list[psutil.Process]:
    """The core processes of vLLM below the replicas of a Serve application."""
    every = psutil.process_iter()
    replicas = [process for process in every if title(process).startswith(f"ray::ServeReplica:{app}:")]
    return [child for replica in replicas for child in replica.children() if "EngineCore" in title(child)]


def harmed(pool: "PoolHandle", harm: Callable[[], None]) -> list[Reply]:
    """The replies to twelve long calls at once, where a second later this is done to their engine."""
    long = Sampling(temperature=1.0, max_tokens=400, min_tokens=400)
    calls = [Call(Request("Say.", sampling=long), f"r{n}", n) for n in range(12)]

    async def out() -> list[Reply]:
        guard = RetryingPool(pool.name, pool, LocalCoordinator())
        asked = asyncio.gather(*(guard.ask(call) for call in calls))
        await asyncio.sleep(1)
        harm()
        return list(await asyncio.wait_for(asked, 200))

    return asyncio.run(out())


def answer(pool: "PoolHandle", words: str, sampling: Sampling) -> Reply:
    """The reply to one call."""
    return asyncio.run(pool.ask(Call(Request(words, sampling=sampling), "row", 1)))


def title(process: psutil.Process) -> str:
    """What a process calls itself."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
