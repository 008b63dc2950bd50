"""Responses of a server are validated: replies, finish reasons, reasoning, and whether it continues a user's turn."""

import asyncio
import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.engine.openai import OpenAIEngine
from oasis_ray.engine.reasoning import split_reasoning
from oasis_ray.errors import OasisError, RunError, ServerFailedError
from oasis_ray.input.image_admission import admit
from oasis_ray.job.limits import Limits
from oasis_ray.job.pool import Pool
from oasis_ray.output.audit import audit
from oasis_ray.output.manifest import read_manifest
from oasis_ray.types import Call, Reply, Request
from tests.support.checkout import ROOT
from tests.support.command import call_here
from tests.support.jobs import execute, outcomes, rows_of
from tests.support.openai_server import HOOK, JUDGE, Server, serving
from tests.support.shards import picture, shard

MODEL = str(ROOT / "benchmarks/models/vlm")
QUESTION = Request("Which kind is it?")
PICTURED = Request("What is it?", (admit(picture(), Limits()),))
OPENED = Request(images=(admit(picture(), Limits()),), speaker="user")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def ask(server: Server, *requests: Request, retries: int = 0) -> list[Reply]:
    engine = OpenAIEngine(Pool(model=MODEL, backend="openai", url=server.url), retries=retries)

    async def each() -> list[Reply]:
        return [await engine.ask(Call(request, "row", 1)) for request in requests]

    return asyncio.run(each())


THOUGHT = "the reply has only reasoning; raise max_tokens, or disable the model's reasoning"
NO_REPLY = "ServerFailedError: {url}: it answers 200 "
MODES = {
    "limited": f"{NO_REPLY}with an error: {{{{'code': 429, 'message': 'rate limited'}}}}",
    "no choices": f"{NO_REPLY}without a reply: ",
    "empty choices": f"{NO_REPLY}without a reply: ",
    "html": f"{NO_REPLY}without a reply: <html>a page of a proxy</html>",
    "filtered": "RowError: reply_filtered: the content filter of the server ended the reply: What is the",
    "strange end": "RowError: reply_end_unknown: unknown finish reason 'tool_calls': ",
    "down": "ServerFailedError: {url} answers 503: ",
}


@pytest.mark.parametrize("request_", [QUESTION, PICTURED], ids=["completion", "chat"])
@pytest.mark.parametrize("mode", MODES)
def test_a_response_without_a_reply_is_an_error(mode: str, request_: Request, server: Server) -> None:
    server.mode = mode
    with pytest.raises(OasisError) as error:
        ask(server, request_)
    assert f"{type(error.value).__name__}: {error.value}".startswith(MODES[mode].format(url=server.url))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("null", "reply_without_text: the server returned `content: null`"),
        ("only thoughts", f"reply_only_reasoning: {THOUGHT}: Let me see…"),
        ("thoughts unended", f"reply_only_reasoning: {THOUGHT}: Let me see, it may be [[1]]"),
    ],
)
def test_a_reply_without_an_answer_says_why(mode: str, expected: str, server: Server) -> None:
    server.mode = mode
    with pytest.raises(OasisError) as error:
        ask(server, PICTURED)
    assert str(error.value) == expected


@pytest.mark.parametrize("mode", ["thoughts apart", "thoughts inside", "thoughts unopened"])
def test_reasoning_of_a_server_is_separated_from_the_answer(mode: str, server: Server) -> None:
    server.mode = mode
    (reply,) = ask(server, PICTURED)
    assert reply.text == JUDGE
    assert "[[1]]" in reply.samples[0].reasoning


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes.", ("", "Yes.")),
        ("", ("", "")),
        ("<think>hm</think>Yes.", ("hm", "Yes.")),
        (" \n<think>\nhm\n</think>\n\nYes.", ("hm", "Yes.")),
        ("hm</think>Yes.", ("hm", "Yes.")),
        ("<think>hm", ("hm", "")),
        ("<think></think>Yes.", ("", "Yes.")),
        ("<think>a</think>The tag </think> ends it.", ("a", "The tag </think> ends it.")),
        ("What does <think> do?", ("", "What does <think> do?")),
        ("What do <think> and </think> do?", ("", "What do <think> and </think> do?")),
    ],
)
def test_reasoning_is_split_from_the_answer(text: str, expected: tuple[str, str]) -> None:
    assert split_reasoning(text) == expected


def test_a_response_without_a_reply_is_retried(server: Server) -> None:
    server.mode = "limited"
    replies = ask(server, *[QUESTION] * 8, retries=2)
    assert [reply.text for reply in replies] == [JUDGE] * 8


@pytest.mark.parametrize(("mode", "why"), [("html", "answers 200 without a reply"), ("down", "answers 503: ")])
def test_a_failed_check_of_continuation_is_reported_and_repeated(mode: str, why: str, server: Server) -> None:
    engine = OpenAIEngine(Pool(model=MODEL, backend="openai", url=server.url), retries=0)

    async def both() -> Reply:
        server.mode = mode
        with pytest.raises(ServerFailedError, match=why):
            await engine.ask(Call(OPENED, "row", 1))
        server.mode = "plain"
        return await engine.ask(Call(OPENED, "row", 1))

    assert asyncio.run(both()).text == HOOK


def test_continuation_is_checked_once(server: Server) -> None:
    assert [reply.text for reply in ask(server, OPENED, OPENED)] == [HOOK, HOOK]
    assert [body["max_tokens"] for body in server.asked].count(1) == 2


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("deaf", "ignores `continue_final_message`"),
        ("no usage", "does not report prompt tokens"),
        ("strict", "rejects `continue_final_message` (Error code: 400 - "),
    ],
)
def test_a_server_that_is_not_known_to_continue_a_turn_is_refused_for_the_hook_alone(
    mode: str, why: str, server: Server
) -> None:
    server.mode = mode
    assert ask(server, PICTURED)[0].text == JUDGE
    with pytest.raises(RunError) as error:
        ask(server, OPENED)
    assert str(error.value).startswith(f"{server.url} {why}")
    assert ", so the server may answer as the assistant instead of continuing the user's turn, " in str(error.value)
    assert str(error.value).endswith("use a vLLM or SGLang server, or backend: vllm")


def job(server: Server, job_file: Callable[..., Path], **keys: Any) -> Path:
    pool = {"backend": "openai", "url": server.url, "model": "m", "tokenizer": MODEL, "request_retries": 0}
    return job_file(pools={"vlm": pool, "llm": pool}, **keys)


def rows(folder: Path, count: int) -> list[bytes]:
    """Write rows r0, r1, … with one image each."""
    pictures = [picture(("red", "green", "blue", "teal", "pink", "gold")[at]) for at in range(count)]
    shard(folder / "shards/a.parquet", [{"id": f"r{at}", "bytes": data} for at, data in enumerate(pictures)])
    return pictures


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (500, "server_failed", "answers 500: Error code: 500"),
        (0, "server_failed", "did not answer: Server disconnected without sending a response."),
        (413, "request_refused", "Error code: 413"),
        (422, "request_refused", "Error code: 422"),
    ],
)
def test_rows_that_a_server_always_fails_on_end_in_failed_and_the_rest_goes_on(
    status: int, reason: str, error: str, server: Server, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    pictures = rows(tmp_path, 6)
    server.fails_with = status
    # More than would prove an outage, but the server answers other requests, so it is healthy.
    server.poison = [base64.b64encode(pictures[at]).decode() for at in (0, 1, 3, 4, 5)]
    manifest = execute(job(server, job_file))
    assert (manifest["state"], outcomes(tmp_path / "run")) == (
        "done", {"accepted": ["r2"], "failed": ["r0", "r1", "r3", "r4", "r5"]},
    )  # fmt: skip
    failed = rows_of(tmp_path / "run", "failed")
    assert {(row["node"], row["reason"]) for row in failed} == {("hook", reason)}
    assert all(error in row["error"] for row in failed)
    assert audit(str(tmp_path / "run")).faults == []
    assert execute(job(server, job_file))["sessions"][-1]["rows"] == 0


def test_a_server_that_fails_on_every_row_ends_the_run(
    server: Server, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    rows(tmp_path, 6)
    server.mode = "down"
    with pytest.raises(
        RunError, match=r"pool 'vlm' failed on several different rows, so no single row is the cause: .* answers 503: "
    ):
        execute(job(server, job_file))
    assert read_manifest(str(tmp_path / "run"))["state"] == "stopped"


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_a_server_that_is_not_there_or_refuses_the_key_is_reported_before_anything_starts(
    executor: str, server: Server, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    rows(tmp_path, 1)
    server.mode = "key"
    with pytest.raises(RunError) as error:
        execute(job(server, job_file, executor=executor))
    assert str(error.value).startswith(f"pool 'llm': {server.url} rejects the key in $OPENAI_API_KEY: ")
    pool = {"backend": "openai", "url": "http://127.0.0.1:9/v1", "model": "m", "tokenizer": MODEL}
    with pytest.raises(RunError) as error:
        execute(job_file(pools={"vlm": pool, "llm": pool}, executor=executor))
    assert str(error.value).startswith("pool 'llm': http://127.0.0.1:9/v1 can't be reached: ")
    assert not (tmp_path / "run/run.json").exists()


def test_a_server_need_not_list_its_models(server: Server, tmp_path: Path, job_file: Callable[..., Path]) -> None:
    rows(tmp_path, 1)
    server.mode = "unlisted"
    assert execute(job(server, job_file))["rows"]["accepted"] == 1
    asyncio.run(OpenAIEngine(Pool(model=MODEL, backend="openai", url=server.url), retries=0).check())


def test_plan_checks_the_servers(server: Server, tmp_path: Path, job_file: Callable[..., Path]) -> None:
    rows(tmp_path, 1)
    path = job(server, job_file)
    assert call_here("plan", path).stdout.splitlines()[-2] == "the job is valid and fits this machine"
    server.mode = "key"
    done = call_here("plan", path)
    assert done.stderr.startswith(f"RunError: pool 'llm': {server.url} rejects the key in $OPENAI_API_KEY: ")
    assert (done.returncode, "the job is valid" in done.stdout) == (1, False)
