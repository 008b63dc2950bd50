"""A row with many requests in flight: an engine that is lost with them is one loss, and its trial covers them all."""

import asyncio
from dataclasses import dataclass, field

import pytest

from oasis_ray.errors import EngineLostError, RowError
from oasis_ray.pipeline.coordinator import LocalCoordinator
from oasis_ray.pipeline.coordinator_state import CoordinatorState
from oasis_ray.pipeline.node import together
from oasis_ray.pipeline.retry import RetryingPool
from oasis_ray.types import Call, Reply, Request


@dataclass
class Counting(CoordinatorState):
    """The coordinator's state, with a list of what pools report to it."""

    def __post_init__(self) -> None:
        super().__init__()
        self.reports: list[str] = []

    def lost(self, place: str, row: str) -> None:
        self.reports.append("lost")
        super().lost(place, row)

    def cleared(self, place: str, row: str) -> None:
        self.reports.append("cleared")
        super().cleared(place, row)


@dataclass
class Engine:
    """An engine that dies with all requests in flight as soon as it has one that is in `deadly`, `lives` times."""

    deadly: frozenset[str]
    lives: int = 100
    deaths: int = 0
    dead: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, call: Call) -> Reply:
        dead = self.dead
        await asyncio.sleep(0.002)
        if call.request.text in self.deadly and self.lives and not dead.is_set():
            self.lives, self.deaths = self.lives - 1, self.deaths + 1
            dead.set()
            self.dead = asyncio.Event()
        await asyncio.sleep(0.002)  # the others notice
        if dead.is_set():
            raise EngineLostError("the engine has died")
        return Reply.of(call.request.text)


def asked(engine: Engine, texts: list[str]) -> tuple[list[str] | str, list[str]]:
    state = Counting()

    async def ask() -> list[str] | str:
        pool = RetryingPool("llm", engine, LocalCoordinator(state))
        try:
            replies = await together([pool.ask(Call(Request(text), "r", 0)) for text in texts])
        except RowError as error:
            return error.reason
        finally:
            await asyncio.sleep(0.02)
            assert pool.flying == {}
        return [reply.text for reply in replies]

    return asyncio.run(ask()), state.reports


TEXTS = [f"text {n}" for n in range(20)]


@pytest.mark.parametrize(
    ("lives", "reports"),
    [
        (0, []),
        (1, ["lost"]),  # one engine, with twenty requests of the row
        (2, ["lost", "lost", "cleared"]),  # suspected, tried, and cleared by its last request
        (3, ["lost", "lost", "lost", "cleared"]),
    ],
)
def test_an_engine_that_is_lost_with_many_requests_of_a_row_is_one_loss(lives: int, reports: list[str]) -> None:
    engine = Engine(frozenset(TEXTS[7:9]), lives)
    assert asked(engine, TEXTS) == (TEXTS, reports)
    assert engine.deaths == lives


def test_one_deadly_request_among_many_makes_the_row_poison_after_four_engines() -> None:
    engine = Engine(frozenset({"text 3"}))
    assert asked(engine, TEXTS) == ("poison", ["lost"] * 4)
    assert engine.deaths == 4  # the requests beside it are not tried again


def test_requests_beside_one_that_raises_are_cancelled() -> None:
    ended = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("slow")

    async def bad() -> None:
        await asyncio.sleep(0)
        raise RowError("poison", "it is")

    async def both() -> None:
        with pytest.raises(RowError):
            await together([slow(), bad()])
        await asyncio.sleep(0)
        assert ended == ["slow"]

    asyncio.run(both())
