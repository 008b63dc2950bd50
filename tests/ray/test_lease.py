"""Who ends engines, and who may have them."""

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from uuid import uuid4

import pytest
import ray
from ray import serve
from ray.exceptions import RayActorError

from oasis_ray.pool.lease import Lease
from tests.support.cluster import Cluster


@pytest.fixture
def serving(ray_cluster: Cluster) -> None:
    """A cluster on which Serve runs."""
    serve.start(proxy_location="Disabled")


def test_a_job_that_comes_while_the_last_one_ends_its_engines_starts_its_own(serving: None) -> None:
    app = f"oasis-shared-{uuid4().hex[:6]}"
    old = Lease(app, "make")
    assert (old.first, ray.get(old._reaper.leave.remote(old._name))) == (True, True)
    with ThreadPoolExecutor() as threads:
        coming = threads.submit(Lease, app, "another make")
        with pytest.raises(TooLate):  # as long as the old engines are being deleted
            coming.result(timeout=3)
        with suppress(RayActorError):
            ray.get(old._reaper.end.remote(old._name))
        ray.kill(old._owner)
        new = coming.result(timeout=60)
    assert new.first
    new.end()


def test_engines_of_one_make_are_held_until_the_last_job_lets_go(serving: None) -> None:
    app = f"oasis-shared-{uuid4().hex[:6]}"
    first, second = Lease(app, "make"), Lease(app, "make")
    with pytest.raises(ValueError, match=r"^make$"):
        Lease(app, "another make")
    first.end()
    third = Lease(app, "make")
    assert [lease.first for lease in (first, second, third)] == [True, False, False]
    second.end()
    third.end()
    another = Lease(app, "another make")
    assert another.first
    another.end()
