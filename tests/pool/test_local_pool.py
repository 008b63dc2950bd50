"""Local pool: it answers, reopens a lost engine, and restores the environment."""

import asyncio
import os

import pytest

from oasis_ray.errors import EngineLostError, RowError, RunError
from oasis_ray.job.pool import Pool
from oasis_ray.pool.local_pool import LocalPool
from oasis_ray.run.local_executor import gpus_of
from oasis_ray.types import Call, Reply, Request

POOL = Pool(backend="scripted", model="script", script="tests.support.scripts:oasis", device="cpu")


class Scripted(LocalPool):
    """A pool that opens the given engines in order."""

    def __init__(self, *engines: object) -> None:
        super().__init__("vlm", POOL, gpus=False, sharing=1, check_s=0.05)
        self._engines = list(engines)

    def open(self) -> None:
        self._engine = self._engines.pop(0)  # type: ignore[assignment]


class Engine:
    """An engine that answers, raises, or never answers."""

    def __init__(self, answer: str | Exception | None, sick: str = "") -> None:
        self._answer, self._sick, self.closed = answer, sick, False

    async def ask(self, call: Call) -> Reply:
        if self._answer is None:
            await asyncio.Event().wait()
        if isinstance(self._answer, Exception):
            raise self._answer
        return Reply.of(str(self._answer))

    async def check(self) -> None:
        if self._sick:
            raise EngineLostError(self._sick)

    def close(self) -> None:
        self.closed = True


def ask(pool: LocalPool, *rows: str) -> list[str]:
    """Return the reply or error of each row while the pool is watched; a row is tried on up to three engines."""

    async def reply_to(row: str) -> str:
        for _ in range(3):
            try:
                return (await pool.ask(Call(Request("?"), row, 1))).text
            except EngineLostError as error:
                lost = str(error)
            except Exception as error:
                return f"{type(error).__name__}: {error}"
        return f"lost: {lost}"

    async def replies() -> list[str]:
        watching = asyncio.ensure_future(pool.watch())
        try:
            return list(await asyncio.wait_for(asyncio.gather(*map(reply_to, rows)), 10))
        finally:
            watching.cancel()

    return asyncio.run(replies())


def test_an_engine_that_is_lost_in_a_call_is_closed_and_another_one_answers_all() -> None:
    first = Engine(EngineLostError("its core has died"))
    pool = Scripted(first, Engine("here"))
    assert ask(pool, "a", "b", "c") == ["here"] * 3
    assert (first.closed, pool.up) == (True, True)


def test_a_hung_engine_is_closed_when_its_health_check_fails_and_another_one_answers() -> None:
    first = Engine(None, sick="it has made no step for 3 s")
    pool = Scripted(first, Engine("here"))
    assert ask(pool, "a", "b") == ["here", "here"]
    assert first.closed


def test_engines_that_are_lost_again_and_again_are_reported_as_lost() -> None:
    assert ask(Scripted(*(Engine(EngineLostError(f"loss {n}")) for n in range(3))), "a") == ["lost: loss 2"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError("the cable is out"), "RunError: pool 'vlm': OSError: the cable is out"),
        (RowError("prompt_over_context", "too long"), "RowError: prompt_over_context: too long"),
        (RunError("no server"), "RunError: no server"),
    ],
)
def test_what_an_engine_raises_keeps_its_kind_or_names_the_pool(error: Exception, expected: str) -> None:
    assert ask(Scripted(Engine(error)), "a") == [expected]


def test_a_reply_has_the_pool_and_the_duration() -> None:
    pool = Scripted(Engine("here"))
    reply = asyncio.run(pool.ask(Call(Request("?"), "a", 1)))
    assert (reply.engine, reply.text, 0 <= reply.seconds < 5) == ("vlm", "here", True)


def test_environment_variables_of_an_engine_are_restored_before_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_LOGGING_LEVEL", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    look = POOL.model_copy(update={"script": "tests.support.looks:environment"})
    pool = LocalPool("vlm", look, gpus=True, sharing=1, devices="2,3")
    before = dict(os.environ)
    pool.open()
    from tests.support import looks

    seen = [looks.found.get(name) for name in ("CUDA_VISIBLE_DEVICES", "VLLM_LOGGING_LEVEL")]
    assert seen == ["2,3", "ERROR"]
    assert dict(os.environ) == before


def pools(**sizes: tuple[int, float]) -> dict[str, Pool]:
    """Pools by name, from the number of GPUs per engine and the share of each."""
    return {
        name: Pool(model="some/model", tensor_parallel=gpus, gpu_share=share) for name, (gpus, share) in sizes.items()
    }


@pytest.mark.parametrize(
    ("visible", "sizes", "expected"),
    [
        ("0,1,2,3", {"vlm": (2, 1.0), "llm": (2, 1.0)}, {"vlm": "0,1", "llm": "2,3"}),
        ("4,5,6", {"llm": (1, 1.0), "vlm": (2, 1.0)}, {"vlm": "4,5", "llm": "6"}),
        ("7", {"vlm": (1, 0.5), "llm": (1, 0.5)}, {"vlm": "7", "llm": "7"}),
        ("7, 8", {"vlm": (1, 0.6), "llm": (1, 0.6)}, {"vlm": "7", "llm": "8"}),
        ("GPU-aa,GPU-bb", {"vlm": (2, 1.0)}, {"vlm": "GPU-aa,GPU-bb"}),
    ],
)
def test_each_engine_sees_its_own_gpus(
    visible: str, sizes: dict[str, tuple[int, float]], expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    by_name = pools(**sizes)
    assert gpus_of(by_name, dict.fromkeys(by_name, True)) == expected
    assert gpus_of(by_name, dict.fromkeys(by_name, False)) == {}
