"""Jobs in phases without Ray: the phases are cut as a test says, and carried in this process."""

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from oasis_ray.cli import SHIPPED
from oasis_ray.engine.scripted import ScriptedEngine
from oasis_ray.input.reader import read
from oasis_ray.input.shards import open_shards
from oasis_ray.job.load import load_job
from oasis_ray.output.checkpoint import read_waiting, waiting_folder
from oasis_ray.output.ledger import ended_ids
from oasis_ray.output.part_writer import PartWriter
from oasis_ray.pipeline.coordinator import LocalCoordinator
from oasis_ray.pipeline.worker import RowWorker
from oasis_ray.run.phases import cut, due
from oasis_ray.types import Call, Reply
from tests.support.jobs import rows_of


def alone(pools: Collection[str]) -> bool:
    """One pool at a time."""
    return len(pools) == 1


class Heard:
    """A watch that lets every row begin."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def begin(self, rows: list[str]) -> list[str]:
        return []

    def stand(self, *_: Any) -> None: ...

    def fail(self, error: str) -> None:
        raise AssertionError(error)

    def ended(self, rows: list[str], told: list[Any], failed: list[Any], waiting: int, _: float) -> None:
        self.told.append((len(rows), len(told), waiting))


class Table:
    """A job whose phases are carried one by one in this process, from the shards into the run folder.

    `calls`: the pool and the row of each request.
    """

    def __init__(self, job: Path, fits: Callable[[Collection[str]], bool], script: Callable[[Call], Reply]) -> None:
        self.job, self.recipe = load_job(job, SHIPPED)
        self.script = script
        self.folder = Path(self.job.output.path)
        self.phases = cut(self.recipe, self.job.pools, fits)
        self.calls: list[tuple[str, str]] = []

    def carry(self, number: int, session: str = "s") -> list[Any]:
        """Carry what is due in the phase of this number; what the watch was told: rows, ended, waiting."""
        phase, heard = self.phases[number - 1], Heard()
        waits_for = None if number == phase.of else waiting_folder(number + 1)
        pools = {name: ScriptedEngine(partial(self._ask, name)) for name in phase.pools}
        digests = {node.name: node.name for node in self.recipe.nodes}
        segment = RowWorker(self.job, self.recipe, pools, digests, LocalCoordinator(heard), waits_for)
        given = open_shards(self.job.input).without(ended_ids(str(self.folder), self.recipe.outcomes))
        left = due(given, read_waiting(str(self.folder)), self.recipe, phase)
        writer = PartWriter(str(self.folder), self.recipe, session=f"{session}-{number}", waiting=waits_for)
        batches = [batch for group in left.groups for batch in read(group, self.job.input, self.job.rows_per_task)]
        for task, batch in enumerate(batches):
            writer.write([asyncio.run(segment.carry_batch(batch))], task)
        return heard.told

    def _ask(self, pool: str, call: Call) -> Reply:
        self.calls.append((pool, call.row))
        return self.script(call)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """All rows by outcome, but for what two runs may differ in."""
        found = {outcome: rows_of(self.folder, outcome) for outcome in self.recipe.outcomes}
        for row in chain.from_iterable(found.values()):
            for step in row["lineage"]:
                del step["seconds"], step["started"]
        return found
