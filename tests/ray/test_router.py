"""Rows and engines: a row stays with the engine that answered it first, and engines get equal shares of the rows."""

import asyncio
from collections import Counter

from oasis_ray.handle import PoolHandle
from oasis_ray.job import Pool
from oasis_ray.pool import start_pools, stop_pools
from oasis_ray.rows import Call, Request

ROWS, CALLS, IN_FLIGHT = 300, 3, 60


def test_a_row_stays_with_its_engine_and_engines_get_equal_shares(ray_cluster: None) -> None:
    pool = Pool(model="script", backend="scripted", script="tests.support.scripts:whoami", device="cpu", replicas=3)
    handles = start_pools({"vlm": pool}, "oasis-router", gpus={"vlm": False})
    try:
        answered = asyncio.run(_carry(handles["vlm"]))
    finally:
        stop_pools(handles)
    moved = [row for row, engines in answered.items() if len(set(engines)) > 1]
    shares = Counter(engines[0] for engines in answered.values())
    assert moved == []
    assert len(shares) == 3
    assert all(abs(rows - ROWS / 3) <= 15 for rows in shares.values()), shares


async def _carry(pool: PoolHandle) -> dict[str, list[str]]:
    """For each row the engines that answered its calls, one call after the other."""
    gate, answered = asyncio.Semaphore(IN_FLIGHT), dict[str, list[str]]()

    async def carry(row: str) -> None:
        async with gate:
            calls = [Call(Request("?"), row, 0, 0)] * CALLS
            answered[row] = [(await pool.ask(call)).text for call in calls]

    await asyncio.gather(*(carry(f"row-{n}") for n in range(ROWS)))
    return answered
