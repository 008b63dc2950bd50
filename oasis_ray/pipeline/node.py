"""Node runner: runs one node on one row. It binds the inputs, asks the pool and reads the replies.

`boundary` is the one place that gives unknown exceptions their kind.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Protocol

from oasis_ray.errors import OasisError, RowError, RunError
from oasis_ray.recipe.recipe import Node, Refs
from oasis_ray.recipe.row import Row, Step
from oasis_ray.stage import ModelStage
from oasis_ray.stage.signature import accepts, chance_of, inputs_of, slots_of
from oasis_ray.types import FAILED, Call, Divert, Reply, Slots


class Asked(Protocol):
    """Anything that answers calls: a pool's handle, or an engine itself."""

    async def ask(self, call: Call) -> Reply:
        """Answer one call."""
        ...


@dataclass(frozen=True)
class NodeRunner:
    """A node with its pool. `priority` is lower for later nodes, so that rows finish rather than pile up."""

    node: Node
    pool: Asked | None
    digest: str
    seed: int
    priority: int

    async def run(self, row: Row) -> Any:
        """Return what the node's stage returns for the row: its `Out` or a `Divert`. Appends to the row's lineage.

        A bad row gives `Divert(FAILED, …)`. Raises RunError on an infrastructure failure, or where the stage raised.
        """
        try:
            with boundary(self.node.name, row.id):
                inputs = self._inputs(row)
                if isinstance(self.node.stage, ModelStage) and self.pool is not None:
                    return await self._ask(self.node.stage, self.pool, inputs, row)
                return self.node.stage.apply(inputs)  # type: ignore[attr-defined]
        except RowError as error:
            return Divert(FAILED, error.reason, error.detail)

    def _inputs(self, row: Row) -> Any:
        """Return the stage's `In` for a row: its inputs, the slots of its prompt, and chance if it takes it."""
        in_type = self.node.in_type
        wanted = inputs_of(in_type)
        values = {name: _value(wire, row, wanted.get(name, str)) for name, wire in self.node.inputs.items()}
        given: dict[str, Any] = {name: value for name, value in values.items() if name in wanted}
        slots = Slots({name: value for name, value in values.items() if name not in wanted})
        if (name_of_slots := slots_of(in_type)) is not None:
            given[name_of_slots] = slots
        if (name_of_chance := chance_of(in_type)) is not None:
            given[name_of_chance] = seed(self.seed, row.id, self.node.name, 0) / 2**31
        return in_type(**given)

    async def _ask(self, stage: ModelStage[Any, Any], pool: Asked, inputs: Any, row: Row) -> Any:
        """Ask until the stage can parse the replies, at most `max_attempts` times. A judgement is not repeated."""
        for attempt in range(self.node.max_attempts):
            result = await self._attempt(stage, pool, inputs, row, attempt)
            if not isinstance(result, Divert) or result.route != FAILED:
                break
        return result

    async def _attempt(self, stage: ModelStage[Any, Any], pool: Asked, inputs: Any, row: Row, attempt: int) -> Any:
        requests = stage.requests(inputs)
        first = attempt * len(requests)
        seeds = [seed(self.seed, row.id, self.node.name, first + number) for number in range(len(requests))]
        started, start = time.time(), time.monotonic()
        replies = await asyncio.gather(
            *(pool.ask(Call(request, row.id, s, self.priority)) for request, s in zip(requests, seeds, strict=True))
        )
        seconds = time.monotonic() - start
        for reply, s in zip(replies, seeds, strict=True):
            step = Step(
                node=self.node.name,
                digest=self.digest,
                seed=s,
                finish=reply.samples[0].finish,
                prompt_tokens=reply.prompt_tokens,
                cached_tokens=reply.cached_tokens,
                reply_tokens=sum(sample.tokens for sample in reply.samples),
                started=started,
                seconds=seconds / len(replies),
                engine=reply.engine,
                engine_seconds=reply.seconds,
            )
            row.lineage.append(asdict(step))
        return stage.parse(inputs, list(replies))


def seed(run: int, row: str, node: str, number: int) -> int:
    """Return a seed of 31 bits that depends on these values alone: a row gets the same sample on any cluster."""
    return int.from_bytes(sha256(f"{run}\0{row}\0{node}\0{number}".encode()).digest()[:4], "big") >> 1


def drawn(run: int, row: str, share: float) -> bool:
    """Whether this row is in a random `share` (0 to 1) of all rows, drawn with the run's seed."""
    return seed(run, row, "drawn", 0) < share * 2**31


@contextmanager
def boundary(node: str, row: str) -> Iterator[None]:
    """Turn an exception that is not an OasisError into a RunError that names the node and the row."""
    try:
        yield
    except OasisError:
        raise
    except Exception as error:
        raise RunError(f"node '{node}', row '{row}': {type(error).__name__}: {error}") from error


def _value(wire: Refs | Mapping[str, Refs], row: Row, want: Any) -> Any:
    """Return the value of an input. Raises RowError if it is a null of the source, and the stage needs a value."""
    if isinstance(wire, Mapping):
        return {key: _value(refs, row, want) for key, refs in wire.items()}
    value = row.value(wire)
    if value is None and wire[-1].node == "source" and not accepts(want, type(None)):
        raise RowError("value_missing", f"column '{wire[-1].field}' is null")
    return value
