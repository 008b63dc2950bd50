"""Node runner: runs one node on one row. It binds the inputs, asks the pool and reads the replies.

`boundary` is the one place that gives unknown exceptions their kind.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any, Protocol, TypeVar

from oasis_ray.errors import OasisError, RowError, RunError
from oasis_ray.recipe.elements import Elements
from oasis_ray.recipe.recipe import Node, Refs
from oasis_ray.recipe.row import Row, Step
from oasis_ray.stage import ModelStage
from oasis_ray.stage.signature import accepts, chance_of, inputs_of, position_of, slots_of
from oasis_ray.types import DROPPED, FAILED, REJECTED, Call, Divert, Reply, Request, Slots

T = TypeVar("T")
# Reasons of failures that are counted by row (`pipeline.retry`): which element caused them is not known.
OF_ROW = ("poison", "server_failed")


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

        With `for_each` it returns `Elements`, or a `Divert` with them as its output. A bad row gives
        `Divert(FAILED, …)`. Raises RunError on an infrastructure failure, or where the stage raised.
        """
        try:
            with boundary(self.node.name, row.id):
                values = self._values(row)
                if self.node.for_each:
                    return await self._each(row, values)
                return await self._one(row, values, None)
        except RowError as error:
            return Divert(FAILED, error.reason, error.detail)

    def inputs(self, row: Row) -> Any:
        """Return the stage's `In` for a row, of a node without `for_each`."""
        return self._inputs(self._values(row), row, self.node.name, 0)

    def _values(self, row: Row) -> dict[str, Any]:
        wanted = inputs_of(self.node.in_type)
        return {name: _value(wire, row, wanted.get(name, str)) for name, wire in self.node.inputs.items()}

    async def _each(self, row: Row, values: Mapping[str, Any]) -> Any:
        """Call the stage for each element that is left of the lists. An element that it diverts is dropped."""
        lists = {name: _value(wire, row, list) for name, wire in self.node.for_each.items()}
        lengths = _lengths(lists)
        if len(set(lengths.values())) > 1:
            raise RunError(f"node '{self.node.name}': the lists of for_each differ in length: {lengths}")
        count = next(iter(lengths.values()))
        if not count:
            return Divert(REJECTED, "no_elements", "the list is empty")
        before, asked = row.elements(self.node.group), len(row.lineage)
        left = before.left if before else range(count)
        tasks = [
            self._element(row, {**values, **{name: _at(lists[name], place) for name in lists}}, place, position)
            for place, position in enumerate(left)
        ]
        results: list[Any] = [None] * (len(before.results) if before else count)
        for position, result in zip(left, await together(tasks), strict=True):
            results[position] = result
        row.lineage[asked:] = sorted(row.lineage[asked:], key=lambda step: int(step["element"]))
        elements = Elements(self.node.group, tuple(results))
        ending = elements.ending(self.node.require)
        return elements if ending is None else replace(ending, out=elements)

    async def _element(self, row: Row, values: Mapping[str, Any], place: int, position: int) -> Any:
        """Return the `Out` for one element, or a `Divert` to `rejected` or `failed` that drops it.

        place: its index in the lists as they are now. position: its index in the original list.
        """
        try:
            result = await self._one(row, values, position, place)
        except RowError as error:
            if error.reason in OF_ROW:
                raise
            return Divert(FAILED, error.reason, error.detail)
        if isinstance(result, Divert) and result.route not in DROPPED:
            self.node.check_exit(result)
            return replace(result, route=REJECTED)
        return result

    async def _one(self, row: Row, values: Mapping[str, Any], element: int | None, place: int = 0) -> Any:
        """Call the stage for a row, or for one element of it."""
        name = self.node.name if element is None else f"{self.node.name}[{element}]"
        inputs = self._inputs(values, row, name, place)
        if isinstance(self.node.stage, ModelStage) and self.pool is not None:
            return await self._ask(self.node.stage, self.pool, inputs, row, name, element)
        return self.node.stage.apply(inputs)  # type: ignore[attr-defined]

    def _inputs(self, values: Mapping[str, Any], row: Row, name: str, place: int) -> Any:
        """Return the stage's `In`: its inputs, the slots of its prompt, and chance and position if it takes them."""
        in_type = self.node.in_type
        wanted = inputs_of(in_type)
        given: dict[str, Any] = {name: value for name, value in values.items() if name in wanted}
        slots = Slots({name: value for name, value in values.items() if name not in wanted})
        if (name_of_slots := slots_of(in_type)) is not None:
            given[name_of_slots] = slots
        if (name_of_chance := chance_of(in_type)) is not None:
            given[name_of_chance] = seed(self.seed, row.id, name, 0) / 2**31
        if (name_of_position := position_of(in_type)) is not None:
            given[name_of_position] = place
        return in_type(**given)

    async def _ask(
        self, stage: ModelStage[Any, Any], pool: Asked, inputs: Any, row: Row, name: str, element: int | None
    ) -> Any:
        """Ask until the stage can parse the replies, at most `max_attempts` times. A judgement is not repeated."""
        for attempt in range(self.node.max_attempts):
            requests = stage.requests(inputs)
            first = attempt * len(requests)
            seeds = [seed(self.seed, row.id, name, first + number) for number in range(len(requests))]
            result = stage.parse(inputs, await self._replies(pool, requests, seeds, row, element))
            if not isinstance(result, Divert) or result.route != FAILED:
                break
        return result

    async def _replies(
        self, pool: Asked, requests: Sequence[Request], seeds: Sequence[int], row: Row, element: int | None
    ) -> list[Reply]:
        """Return the replies to some requests at once, and append them to the row's lineage."""
        started, start = time.time(), time.monotonic()
        replies = await together(
            [pool.ask(Call(request, row.id, s, self.priority)) for request, s in zip(requests, seeds, strict=True)]
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
                element=element,
            )
            row.lineage.append(asdict(step))
        return replies


async def together(coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results of coroutines that run at once. If one raises, the others are cancelled: nobody needs them."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def seed(run: int, row: str, node: str, number: int) -> int:
    """Return a seed of 31 bits that depends on these values alone, and so is the same on any cluster."""
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


def _lengths(lists: Mapping[str, Any]) -> dict[str, int]:
    """Return the lengths of lists by name."""
    lengths: dict[str, int] = {}
    for name, value in lists.items():
        if isinstance(value, Mapping):
            lengths |= {f"{name}.{key}": len(elements) for key, elements in value.items()}
        else:
            lengths[name] = len(value)
    return lengths


def _at(values: Any, place: int) -> Any:
    """Return the element at `place` of a list, or of each of several lists by name."""
    if isinstance(values, Mapping):
        return {key: elements[place] for key, elements in values.items()}
    return values[place]


def _value(wire: Refs | Mapping[str, Refs], row: Row, want: Any) -> Any:
    """Return the value of an input. Raises RowError if it is a null of the source, and the stage needs a value."""
    if isinstance(wire, Mapping):
        return {key: _value(refs, row, want) for key, refs in wire.items()}
    value = row.value(wire)
    if value is None and wire[-1].node == "source" and not accepts(want, type(None)):
        raise RowError("value_missing", f"column '{wire[-1].field}' is null")
    return value
