"""Engines of vLLM that hang, or whose replica dies."""

from collections.abc import Iterator

import psutil
import pytest

from oasis_ray.pool.deployment import Deployments
from oasis_ray.pool.handle import PoolHandle
from tests.support.cluster import Cluster
from tests.support.engines import cores, harmed, small_llm


@pytest.fixture(scope="module")
def mortal(ray_cluster: Cluster) -> Iterator[PoolHandle]:
    """An engine that is given up when it stands still for three seconds."""
    pool = small_llm(stall_timeout_s=3)
    deployments = Deployments()
    handles = deployments.start({"llm": pool}, "mortal", gpus={"llm": pool.device == "gpu"})
    yield handles["llm"]
    deployments.stop(handles)


def test_an_engine_whose_core_hangs_is_replaced_and_every_call_is_answered(mortal: PoolHandle) -> None:
    (core,) = cores(next(iter(mortal.apps)))
    replies = harmed(mortal, core.suspend)
    assert [reply.samples[0].tokens for reply in replies] == [400] * 12
    assert not core.is_running()


def test_an_engine_that_is_killed_takes_its_core_along(mortal: PoolHandle) -> None:
    (core,) = cores(next(iter(mortal.apps)))
    core.parent().kill()
    psutil.wait_procs([core], timeout=30)
    assert not core.is_running()
