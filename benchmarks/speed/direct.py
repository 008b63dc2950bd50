"""One process and its engines, without Ray. The engines are driven directly and without files (as fast as they go, and
step by step), or by a local run.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.speed.child import cpu_seconds, memory_mib, spent
from benchmarks.speed.local import OpenExecutor, local
from benchmarks.speed.rounds import Round, rows_of
from oasis_ray.cli import SHIPPED
from oasis_ray.engine.engine import Engine
from oasis_ray.input.image_admission import admit
from oasis_ray.input.reader import read
from oasis_ray.input.shards import open_shards
from oasis_ray.job.load import load_job
from oasis_ray.output.manifest import node_digests
from oasis_ray.pipeline.node import NodeRunner
from oasis_ray.pipeline.walk import settle
from oasis_ray.pipeline.worker import RowWorker
from oasis_ray.recipe.row import Row
from oasis_ray.types import REJECTED, Call, Divert, Reply

BATCH = 64  # rows of a step that are asked for at once


@contextmanager
def direct(job: Path) -> Iterator[Callable[..., Round]]:
    """Open the engines of a job. What is yielded runs a job of the same pools, the way it is told."""
    loop = asyncio.new_event_loop()
    executor = OpenExecutor(load_job(job, SHIPPED)[0].pools, loop)
    engines = executor.engines_open
    ways = {"floor": floor, "steps": steps}

    def answer(way: str, path: Path) -> Round:
        loop.run_until_complete(forget(engines))
        before, start = cpu_seconds(), time.monotonic()
        moments, ended, folder = list[float](), list[Row](), ""
        if way == "local":
            folder = local(path, executor)
        else:
            moments, ended = loop.run_until_complete(ways[way](path, engines))
        took, after = time.monotonic() - start, cpu_seconds()
        outcome_of = load_job(path, SHIPPED)[1].outcome_of
        rows = rows_of(folder) if folder else {row.id: (outcome_of(row.route), row.lineage) for row in ended}
        found = {name: row for name, row in rows.items() if row[1]}
        return Round(took, moments, found, spent(before, after), memory=memory_mib())

    yield answer


async def forget(engines: dict[str, Engine]) -> None:
    """Empty the caches of vLLM's engines: each round begins with none."""
    for engine in engines.values():
        if core := getattr(engine, "_llm", None):
            engine._images.clear()  # type: ignore[attr-defined]  # what it was given it is given again
            await core.reset_prefix_cache()
            await core.reset_mm_cache()
            await core.reset_encoder_cache()


def rows_in(path: Path) -> tuple[Any, Any, list[dict[str, Any]]]:
    """A job, its recipe, and the rows of its input."""
    job, recipe = load_job(path, SHIPPED)
    groups = open_shards(job.input).groups
    rows = [row for group in groups for batch in read(group, job.input, 8) for row in batch.to_pylist()]
    return job, recipe, rows


async def floor(path: Path, engines: dict[str, Engine]) -> tuple[list[float], list[Row]]:
    """Each row goes its way by itself, `rows_in_flight` of them at a time: the very requests of the service."""
    job, recipe, rows = rows_in(path)
    segment = RowWorker(job, recipe, engines, node_digests(job, recipe))
    gate, moments = asyncio.Semaphore(job.rows_in_flight), list[float]()

    async def carry(row: dict[str, Any]) -> Row:
        async with gate:
            ended = await segment.carry(row)
            moments.append(time.monotonic())
            return ended

    return moments, list(await asyncio.gather(*(carry(row) for row in rows)))


async def steps(path: Path, engines: dict[str, Engine]) -> tuple[list[float], list[Row]]:
    """The order of the paper's code: a step over all rows, batch by batch, then the next step; all judges always.

    What an engine has read for one step it does not know at the next: in a large data set it was long ago.
    """
    job, recipe, rows = rows_in(path)
    digests = node_digests(job, recipe)
    ended = [Row(row["id"], row["source"], row["image"], None) for row in rows]
    for row, given in zip(ended, rows, strict=True):
        row.source = {"image": admit(given["image"]["bytes"], job.input.limits)}
    first: dict[str, tuple[str, Divert]] = {}
    for place, node in enumerate(recipe.nodes):
        pool = Apart(node.name, engines[node.pool]) if node.pool else None
        runner = NodeRunner(node, pool, digests[node.name], job.seed, -place)

        async def step(row: Row, runner: NodeRunner = runner) -> None:
            node = runner.node
            found = await runner.run(row)
            out = found.out if isinstance(found, Divert) else found
            if out is not None:
                row.values[node.name] = out
            if not isinstance(found, Divert):
                return
            found = replace(found, route=node.destination(found))
            if node.stage.judges and found.route == REJECTED:
                first.setdefault(row.id, (node.name, found))
            else:
                settle(row, node.name, found)

        here = [row for row in ended if row.route == node.route and (row.id not in first or node.stage.judges)]
        for at in range(0, len(here), BATCH):
            await asyncio.gather(*(step(row) for row in here[at : at + BATCH]))
    for row in ended:
        if row.id in first:
            settle(row, *first[row.id])
    return [time.monotonic()] * len(ended), ended


class Apart:
    """An engine as one step sees it: to its caches, the same picture is another one at every step."""

    def __init__(self, node: str, engine: Engine) -> None:
        self._node, self._engine = node, engine

    async def ask(self, call: Call) -> Reply:
        """Answer one call."""
        images = tuple(replace(image, digest=f"{image.digest}-{self._node}") for image in call.request.images)
        return await self._engine.ask(replace(call, request=replace(call.request, images=images)))
