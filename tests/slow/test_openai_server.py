"""The OpenAI-compatible backend against vLLM's own server: the hook, chat, samples, errors."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from benchmarks.local_cluster import free_port
from oasis_ray.engine.chat_template import Chat
from oasis_ray.engine.openai import OpenAIEngine
from oasis_ray.errors import RowError, RunError
from oasis_ray.input.image_admission import admit
from oasis_ray.job.limits import Limits
from oasis_ray.job.pool import Pool
from oasis_ray.types import Call, Reply, Request, Sampling
from tests.support.choice_softmax import softmax_of_choices
from tests.support.models import VLM
from tests.support.shards import picture

KEY = "a-key-for-this-test"
SHORT = Sampling(max_tokens=12)
START_S = 180


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """vLLM's OpenAI server with the small VLM, on a free port of this machine; its base URL."""
    port, log = free_port(), tmp_path_factory.mktemp("server") / "server.log"
    options = ["--max-model-len", "2048", "--enforce-eager"]
    options += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096"]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(VLM), *options]
    where = ["--host", "127.0.0.1", "--port", str(port), "--api-key", KEY]
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen([*command, *where], env=environment, stdout=out, stderr=out, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(START_S):
            time.sleep(1)
            assert process.poll() is None, log.read_text()[-3000:]
            try:
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            except httpx.TransportError:
                continue
        yield f"{url}/v1"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


@pytest.fixture
def pool(server: str, monkeypatch: pytest.MonkeyPatch) -> Pool:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return Pool(model=str(VLM), backend="openai", url=server)


def ask(pool: Pool, request: Request) -> Reply:
    return asyncio.run(OpenAIEngine(pool).ask(Call(request, "row", 1)))


def test_the_hook_through_a_server_is_the_exact_prompt(pool: Pool) -> None:
    image = admit(picture(), Limits())
    request = Request(images=(image,), speaker="user", sampling=SHORT)
    reply = ask(pool, request)
    assert reply.prompt_tokens == len(Chat.load(str(VLM)).ids(request)) - 1 + 16
    assert reply.samples[0].tokens == 12
    assert reply.samples == ask(pool, request).samples


def test_a_question_with_an_image_reads_as_the_exact_prompt(pool: Pool) -> None:
    request = Request("What is it?", (admit(picture(), Limits()),), sampling=SHORT)
    assert ask(pool, request).prompt_tokens == len(Chat.load(str(VLM)).ids(request)) - 1 + 16


def test_a_text_hook_and_several_samples_go_as_exact_tokens(pool: Pool) -> None:
    drawn = Sampling(temperature=1.0, max_tokens=12)
    request = Request("<|im_end|> is a word here", speaker="user", sampling=drawn, n=3, likelihood=True)
    reply = ask(pool, request)
    assert reply.prompt_tokens == len(Chat.load(str(VLM)).ids(request))
    assert len({sample.text for sample in reply.samples}) == 3
    assert all(sample.likelihood is not None and sample.likelihood < 0 for sample in reply.samples)


def test_probabilities_of_choices_are_those_of_the_models_logits(pool: Pool) -> None:
    weighed = {"sampling": SHORT, "choices": ("Yes", "No"), "weigh": True}
    request = Request("Is there a red circle?", **weighed)
    (sample,) = ask(pool, request).samples
    assert sample.probabilities == pytest.approx(softmax_of_choices(VLM, request), abs=0.03)
    (shown,) = ask(pool, Request("Is it red?", (admit(picture("red"), Limits()),), **weighed)).samples
    assert shown.probabilities is not None
    assert sum(shown.probabilities.values()) == pytest.approx(1)
    assert shown.text == max(shown.probabilities, key=lambda choice: shown.probabilities[choice])


def test_an_image_of_an_odd_mode_is_sent_as_a_plain_one(pool: Pool) -> None:
    image = admit(picture(kind="TIFF"), Limits())
    assert ask(pool, Request("Hm", (image,), sampling=SHORT)).samples[0].tokens == 12


def test_a_prompt_over_the_context_is_a_bad_row(pool: Pool) -> None:
    with pytest.raises(RowError) as error:
        ask(pool, Request("word " * 3000, sampling=SHORT))
    assert error.value.reason == "prompt_over_context"


def test_a_key_that_is_refused_is_told_without_the_key(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "a-wrong-key")
    refused = Pool(model=str(VLM), backend="openai", url=server, api_key_env="OTHER_KEY")
    with pytest.raises(RunError) as error:
        ask(refused, Request("Hi", sampling=SHORT))
    assert str(error.value).startswith(f"{server} rejects the key in $OTHER_KEY: ")
    assert "a-wrong-key" not in str(error.value)
