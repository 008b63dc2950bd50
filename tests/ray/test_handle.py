"""The way of a picture to its engine: once, and again only where the engine does not have it."""

import asyncio
from collections.abc import Iterator

import pytest

from oasis_ray.job.latency import Latency
from oasis_ray.job.pool import Pool
from oasis_ray.pool.deployment import Deployments
from oasis_ray.pool.handle import PoolHandle
from oasis_ray.types import Call, Image, Request
from tests.support.cluster import Cluster

RED, BLUE = Image(b"red picture", "red"), Image(b"blue one", "blue")
FAST = Latency(read_tokens_per_s=1e9, token_s=0, token_s_per_reply=0, cached_images=1)


@pytest.fixture(scope="module")
def pools(ray_cluster: Cluster) -> Iterator[dict[str, PoolHandle]]:
    """An engine that keeps the last picture, and one that keeps none. Both answer with the bytes that came."""
    script = {"model": "script", "script": "tests.support.scripts:weigh", "device": "cpu"}
    given = {
        "keeps": Pool.model_validate(script | {"backend": "simulated", "latency": FAST}),
        "forgets": Pool.model_validate(script | {"backend": "scripted"}),
    }
    deployments = Deployments()
    handles = deployments.start(given, "oasis-handle", gpus=dict.fromkeys(given, False))
    yield handles
    deployments.stop(handles)


def came(pool: PoolHandle, row: str, *images: Image) -> str:
    """How many bytes of each picture came with a request of this row."""
    return asyncio.run(pool.ask(Call(Request("?", images), row, 0))).text


def test_a_picture_goes_to_an_engine_once_as_long_as_it_keeps_it(pools: dict[str, PoolHandle]) -> None:
    asked = [("one", RED), ("one", RED), ("other", RED), ("one", BLUE), ("one", BLUE), ("one", RED), ("one", RED)]
    #         new           known          new to the row   new; red goes  known          forgotten      known
    assert [came(pools["keeps"], *call) for call in asked] == ["11", "0", "11", "8", "0", "11", "0"]


def test_a_request_without_pictures_forgets_none(pools: dict[str, PoolHandle]) -> None:
    assert [came(pools["keeps"], "text", *images) for images in ((RED,), (), (RED,))] == ["11", "", "0"]


def test_an_engine_that_keeps_no_pictures_gets_them_each_time(pools: dict[str, PoolHandle]) -> None:
    assert [came(pools["forgets"], "one", RED) for _ in range(3)] == ["11"] * 3


def test_a_picture_larger_than_a_message_of_serve_arrives(pools: dict[str, PoolHandle]) -> None:
    assert came(pools["forgets"], "large", Image(bytes(5 << 20), "large")) == str(5 << 20)
