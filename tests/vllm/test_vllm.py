"""The real engines: vLLM in pools under Ray, on a pair of tiny models with random weights."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
import ray

from oasis_ray.capacity import on_gpus
from oasis_ray.chat import Chat
from oasis_ray.cluster import nodes
from oasis_ray.errors import RowError
from oasis_ray.handle import PoolHandle
from oasis_ray.image import admit
from oasis_ray.job import Limits, Pool
from oasis_ray.pool import start_pools, stop_pools
from oasis_ray.rows import Call, Image, Reply, Request, Sampling
from tests.support.checkout import ROOT
from tests.support.shards import picture

DRAWN = Sampling(temperature=1.0, top_k=20, max_tokens=16, min_tokens=4)
SHORT = Sampling(max_tokens=16)
THREADS = 3
IMAGE_TOKENS = 16  # 112 x 112 pixels: 8 x 8 patches of 14, merged two by two

# Eight pictures of 256 tokens, all of them asked about twice, where a batch has room for four; vLLM tells of its steps.
TWICE = """
import asyncio, os, psutil, sys
from oasis_ray.engine import open_engine
from oasis_ray.image import admit
from oasis_ray.job import Limits, Pool
from oasis_ray.rows import Call, Request, Sampling
from tests.support.shards import picture

async def ask(pool):
    engine = open_engine(pool, gpus=False)
    images = [admit(picture(colour, (448, 448)), Limits()) for colour in sys.argv[2:]]
    for words in ("What is it?", "Where is it?"):
        requests = [Request(words, (image,), sampling=Sampling(max_tokens=4)) for image in images]
        await asyncio.gather(*(engine.ask(Call(request, f"r{row}", 1)) for row, request in enumerate(requests)))
    # The engine's own process would be waited for at the end of this one.
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(0)

if __name__ == "__main__":
    told = {"enable_logging_iteration_details": True, "max_num_batched_tokens": 1024}
    asyncio.run(ask(Pool(model=sys.argv[1], device="cpu", max_context_tokens=1024, engine_args=told)))
"""


@pytest.fixture(scope="module")
def pools(ray_cluster: None, pair: Path) -> Iterator[dict[str, PoolHandle]]:
    """Both models of the pair, an engine each."""
    given = {
        name: Pool(model=str(pair / name), device="auto", gpu_share=0.4, max_context_tokens=2048, max_sequences=16)
        for name in ("vlm", "llm")
    }
    given["llm"] = given["llm"].model_copy(update={"threads": THREADS})
    # Room for one or two pictures of 448 x 448 pixels, as vLLM keeps them.
    given["vlm"] = given["vlm"].model_copy(update={"engine_args": {"mm_processor_cache_gb": 0.006}})
    handles = start_pools(given, "test-vllm", gpus=on_gpus(given, nodes()))
    yield handles
    stop_pools(handles)


def ask(pool: PoolHandle, *calls: Call) -> list[Reply]:
    """Ask all calls at once."""

    async def gather() -> list[Reply]:
        return list(await asyncio.gather(*(pool.ask(call) for call in calls)))

    return asyncio.run(gather())


def hook(image: Image, row: str = "r", seed: int = 1) -> Call:
    return Call(Request(images=(image,), speaker="user", sampling=DRAWN), row, seed)


def test_an_engine_has_the_threads_it_is_given_or_its_share_of_the_cores(pools: dict[str, PoolHandle]) -> None:
    threads = {}
    for process in psutil.process_iter(["cmdline"]):
        if "VLLM::" in " ".join(process.info["cmdline"] or ()):
            replica = re.search(r"test-vllm-(\w+):", " ".join(process.parent().cmdline()))
            if replica:  # others may compute on this machine
                threads[replica[1]] = process.environ()["OMP_NUM_THREADS"]
    assert threads == {"vlm": str(max(1, len(os.sched_getaffinity(0)) // len(pools))), "llm": str(THREADS)}


def test_what_vllm_counts_is_by_request_and_not_by_token(pools: dict[str, PoolHandle]) -> None:
    ask(pools["llm"], Call(Request("What is it?", sampling=DRAWN), "r", 1))
    port = ray.nodes()[0]["MetricsExportPort"]
    deadline, page = time.monotonic() + 60, ""
    while "ray_vllm_request_time_per_output_token_seconds_count" not in page and time.monotonic() < deadline:
        time.sleep(1)
        page = urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    assert "ray_vllm_request_time_per_output_token_seconds_count" in page
    assert "ray_vllm_inter_token_latency" not in page


def test_the_same_call_gives_the_same_reply_and_another_seed_another(pools: dict[str, PoolHandle]) -> None:
    image = admit(picture("navy"), Limits())
    first, again, other = ask(pools["vlm"], hook(image), hook(image), hook(image, seed=2))
    assert first.samples == again.samples
    assert first.text != other.text


def test_the_engine_reads_the_prompt_and_the_whole_image(pools: dict[str, PoolHandle], pair: Path) -> None:
    image = admit(picture("olive"), Limits())
    prompt = Chat.load(str(pair / "vlm")).ids(hook(image).request)
    assert ask(pools["vlm"], hook(image))[0].prompt_tokens == len(prompt) - 1 + IMAGE_TOKENS


def test_an_image_is_read_once_for_all_its_requests_with_the_same_replies(pools: dict[str, PoolHandle]) -> None:
    image = admit(picture("maroon", (448, 448)), Limits())
    question = Call(Request("What is it?", (image,), sampling=SHORT), "r", 1)
    cold = ask(pools["vlm"], question)[0]
    ask(pools["vlm"], hook(image))
    warm = ask(pools["vlm"], question)[0]
    # vLLM caches whole blocks, of 128 tokens on CPUs: the image has 256.
    assert cold.cached_tokens < 128 < warm.cached_tokens
    assert warm.samples == cold.samples


def test_the_encoder_reads_a_picture_once_though_a_batch_has_no_room_for_all(pair: Path) -> None:
    colours = ("gold", "plum", "tan", "lime", "navy", "teal", "red", "gray")
    words = [sys.executable, "-c", TWICE, str(pair / "vlm"), *colours]
    variables = os.environ | {"PYTHONPATH": str(ROOT), "VLLM_LOGGING_LEVEL": "INFO"}
    said = subprocess.run(words, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=500)
    read = re.findall(r"encoder inputs: (\d+)", said.stdout + said.stderr)
    assert sum(map(int, read)) == len(colours), (said.stdout + said.stderr)[-3000:]


def test_an_engine_says_how_many_such_rows_its_cache_holds(pools: dict[str, PoolHandle]) -> None:
    small, large = (admit(picture("teal", size), Limits()) for size in ((112, 112), (448, 448)))
    some, fewer = ask(pools["vlm"], hook(small), hook(large))
    read = [reply.prompt_tokens + reply.samples[0].tokens for reply in (some, fewer)]
    room = [reply.holds * tokens for reply, tokens in zip((some, fewer), read, strict=True)]
    assert min(room) > 2048
    assert abs(room[0] - room[1]) < max(read)


def test_a_picture_that_vllm_has_forgotten_is_given_again(pools: dict[str, PoolHandle]) -> None:
    images = [admit(picture(colour, (448, 448)), Limits()) for colour in ("gold", "plum", "tan", "lime")]
    questions = [Call(Request("What is it?", (image,), sampling=SHORT), "r", 1) for image in images]
    once = [ask(pools["vlm"], question)[0].samples for question in questions]
    assert [ask(pools["vlm"], question)[0].samples for question in questions] == once


def test_different_images_give_different_replies(pools: dict[str, PoolHandle]) -> None:
    one, other = (admit(picture(colour), Limits()) for colour in ("red", "blue"))
    assert ask(pools["vlm"], hook(one))[0].text != ask(pools["vlm"], hook(other))[0].text


def test_several_samples_come_with_their_likelihoods(pools: dict[str, PoolHandle]) -> None:
    reply = ask(pools["llm"], Call(Request("Hi", sampling=DRAWN, n=3, likelihood=True), "r", 1))[0]
    assert len({sample.text for sample in reply.samples}) == 3
    assert all(sample.likelihood is not None and sample.likelihood < 0 for sample in reply.samples)


def test_a_prompt_over_the_context_is_a_bad_row(pools: dict[str, PoolHandle]) -> None:
    with pytest.raises(RowError) as error:
        ask(pools["llm"], Call(Request("word " * 3000, sampling=SHORT), "r", 1))
    assert error.value.reason == "prompt_over_context"
    assert error.value.detail.endswith("(max_context_tokens is 2048)")


def test_a_reply_is_one_of_the_choices(pools: dict[str, PoolHandle]) -> None:
    image = admit(picture("maroon"), Limits())
    verdicts = ("[[1]]", "[[4]]", "[[5]]")
    requests = [Request(f"How good is {n}?", (image,), sampling=SHORT, choices=verdicts) for n in range(4)]
    said = [reply.samples[0] for reply in ask(pools["vlm"], *(Call(request, "r", 1) for request in requests))]
    assert {sample.finish for sample in said} == {"stop"}
    assert {sample.text for sample in said} <= set(verdicts)


def test_a_reply_keeps_to_its_bounds(pools: dict[str, PoolHandle]) -> None:
    sampling = Sampling(temperature=1.0, max_tokens=8, min_tokens=8, ban=("special", "emoji"))
    sample = ask(pools["llm"], Call(Request("Hi", sampling=sampling), "r", 1))[0].samples[0]
    assert (sample.tokens, sample.finish) == (8, "length")
