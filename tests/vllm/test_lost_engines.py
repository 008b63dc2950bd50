"""Engines that die or hang, on real vLLM: they are replaced, and every call is answered."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import ray

from oasis_ray.capacity import on_gpus
from oasis_ray.cluster import nodes
from oasis_ray.coordinator import LocalCoordinator
from oasis_ray.guard import Guard
from oasis_ray.handle import PoolHandle
from oasis_ray.job import Pool
from oasis_ray.pool import start_pools, stop_pools
from oasis_ray.rows import Call, Reply, Request, Sampling
from oasis_ray.watch import Watch


def cores(app: str) -> list[psutil.Process]:
    """The core processes of vLLM below the replicas of a pool."""
    replicas = [process for process in psutil.process_iter() if _title(process).startswith(f"ray::ServeReplica:{app}:")]
    return [child for replica in replicas for child in replica.children() if "EngineCore" in _title(child)]


def _title(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def test_engines_that_are_let_go_leave_no_process_behind(ray_cluster: None) -> None:
    # Before `mortal` starts: a leash has no run in its title, and all that are there are looked at.
    pool = Pool(model="script", backend="scripted", script="tests.support.scripts:whoami", device="cpu")
    stop_pools(start_pools({"llm": pool}, "oasis-gone", gpus={"llm": False}))
    deadline = time.monotonic() + 30
    while (left := _of("oasis-gone")) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left == []


@pytest.fixture(scope="module")
def mortal(ray_cluster: None, pair: Path) -> Iterator[PoolHandle]:
    """An engine that may be killed, for another takes its place, and that is given up when it stands still for three
    seconds.
    """
    given = Pool(
        model=str(pair / "llm"),
        device="auto",
        gpu_share=0.2,
        max_context_tokens=512,
        max_sequences=8,
        stall_timeout_s=3,
    )
    handles = start_pools({"llm": given}, f"mortal-{uuid4().hex[:6]}", gpus=on_gpus({"llm": given}, nodes()))
    yield handles["llm"]
    stop_pools(handles)


@pytest.mark.parametrize("harm", [psutil.Process.kill, psutil.Process.suspend], ids=["dies", "hangs"])
def test_an_engine_whose_core_dies_or_hangs_is_replaced_and_every_call_is_answered(
    harm: Callable[[psutil.Process], None], mortal: PoolHandle
) -> None:
    long = Sampling(temperature=1.0, max_tokens=400, min_tokens=400)
    calls = [Call(Request("Say.", sampling=long), f"r{n}", n) for n in range(12)]
    (core,) = cores(next(iter(mortal.apps)))

    async def out() -> list[Reply]:
        guard = Guard("llm", mortal, LocalCoordinator(Watch()))
        asked = asyncio.gather(*(guard.ask(call) for call in calls))
        await asyncio.sleep(1)
        harm(core)
        return list(await asyncio.wait_for(asked, 200))

    replies = asyncio.run(out())
    assert [reply.samples[0].tokens for reply in replies] == [400] * 12
    assert not core.is_running()


def test_an_engine_that_is_killed_takes_its_core_along(mortal: PoolHandle) -> None:
    (core,) = cores(next(iter(mortal.apps)))
    core.parent().kill()
    psutil.wait_procs([core], timeout=30)
    assert not core.is_running()


def _of(run: str) -> list[str]:
    """The processes and the named actors of a run; and janitors and leashes, which have no run in their title."""
    named = [actor["name"] for actor in ray.util.list_named_actors(all_namespaces=True) if run in actor["name"]]
    titles = [_title(process) for process in psutil.Process().children(recursive=True)]
    return named + [title for title in titles if run in title or title.startswith(("ray::_Leash", "ray::_Janitor"))]
