"""Rows and engines: a row stays with the engine that answered it first, engines get equal shares of the rows, and
nothing is left of engines that are let go.
"""

import asyncio
import time
from collections import Counter

import psutil
import pytest
import ray

from oasis_ray.job.pool import Pool
from oasis_ray.pool.deployment import Deployments
from oasis_ray.pool.handle import PoolHandle
from oasis_ray.types import Call, Request
from tests.support.cluster import Cluster
from tests.support.engines import title

ROWS, CALLS, IN_FLIGHT = 300, 3, 60
RUN = "oasis-router"


@pytest.fixture(scope="module")
def carried(ray_cluster: Cluster) -> tuple[dict[str, list[str]], set[str]]:
    """For each row the engines that answered its calls; and what is left when the engines were let go."""
    pool = Pool(model="script", backend="scripted", script="tests.support.scripts:whoami", device="cpu", replicas=3)
    before = there()
    deployments = Deployments()
    handles = deployments.start({"vlm": pool}, RUN, gpus={"vlm": False})
    try:
        answered = asyncio.run(_carry(handles["vlm"]))
        assert len(there() - before) >= 3
    finally:
        deployments.stop(handles)
    deadline = time.monotonic() + 30
    while (left := there() - before) and time.monotonic() < deadline:
        time.sleep(0.5)
    return answered, left


def there() -> set[str]:
    """The named actors of the run and its processes; and reapers and owners, which have no run in their title."""
    named = {actor["name"] for actor in ray.util.list_named_actors(all_namespaces=True) if RUN in actor["name"]}
    below = {f"{process.pid} {title(process)}" for process in psutil.Process().children(recursive=True)}
    return named | {text for text in below if RUN in text or "ray::Owner" in text or "ray::Reaper" in text}


def test_a_row_stays_with_its_engine_and_engines_get_equal_shares(
    carried: tuple[dict[str, list[str]], set[str]],
) -> None:
    moved = [row for row, engines in carried[0].items() if len(set(engines)) > 1]
    shares = Counter(engines[0] for engines in carried[0].values())
    assert moved == []
    assert len(shares) == 3
    # On a busy machine the engines answer at different speed, and the quicker one gets more rows.
    assert all(abs(rows - ROWS / 3) <= ROWS / 6 for rows in shares.values()), shares


def test_engines_that_are_let_go_leave_no_process_behind(carried: tuple[dict[str, list[str]], set[str]]) -> None:
    assert carried[1] == set()


async def _carry(pool: PoolHandle) -> dict[str, list[str]]:
    """For each row the engines that answered its calls, one call after the other."""
    gate, answered = asyncio.Semaphore(IN_FLIGHT), dict[str, list[str]]()

    async def carry(row: str) -> None:
        async with gate:
            calls = [Call(Request("?"), row, 0, 0)] * CALLS
            answered[row] = [(await pool.ask(call)).text for call in calls]

    await asyncio.gather(*(carry(f"row-{n}") for n in range(ROWS)))
    return answered
