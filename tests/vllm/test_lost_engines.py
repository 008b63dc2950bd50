"""An engine of vLLM on Ray: what it counts, and that another takes its place when it dies."""

import time
from urllib.request import urlopen

import ray

from oasis_ray.pool.handle import PoolHandle
from tests.support.engines import SHORT, answer, cores, harmed


def test_what_vllm_counts_is_by_request_and_not_by_token(llm_on_ray: PoolHandle) -> None:
    answer(llm_on_ray, "What is it?", SHORT)
    port = ray.nodes()[0]["MetricsExportPort"]
    deadline, page = time.monotonic() + 60, ""
    while "ray_vllm_request_time_per_output_token_seconds_count" not in page and time.monotonic() < deadline:
        time.sleep(1)
        page = urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    assert "ray_vllm_request_time_per_output_token_seconds_count" in page
    assert "ray_vllm_inter_token_latency" not in page


def test_an_engine_whose_core_dies_is_replaced_and_every_call_is_answered(llm_on_ray: PoolHandle) -> None:
    (core,) = cores(next(iter(llm_on_ray.apps)))
    replies = harmed(llm_on_ray, core.kill)
    assert [reply.samples[0].tokens for reply in replies] == [400] * 12
    assert not core.is_running()
