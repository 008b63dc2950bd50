"""Fixtures of all tests. What starts a process, a cluster or an engine is started once per session."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.checkout import ROOT, SHARED
from tests.support.cluster import ASKED_FOR, Cluster
from tests.support.jobs import write_job
from tests.support.s3 import Store, forget

if TYPE_CHECKING:
    from oasis_ray.pool.handle import PoolHandle
    from tests.support.engines import Kept

os.environ |= ASKED_FOR  # Ray reads them once, when a module is the first to import it
# Commands that tests start, and workers of Ray, import the scripts of `tests.support`.
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])

STARTS = ("ray", "vllm", "browser", "slow", "real", "trainers")  # a test is marked by the folder that it is in


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what it starts."""
    for item in items:
        for name in STARTS:
            if name in item.path.relative_to(ROOT / "tests").parts[:-1]:
                item.add_marker(name)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A server that speaks S3."""
    with Store(tmp_path_factory.mktemp("store")) as made:
        yield made


@pytest.fixture
def store_here(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store, as this process sees it too."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    forget()
    return store


@pytest.fixture(scope="session")
def ray_cluster(store: Store) -> Iterator[Cluster]:
    """The one cluster of all tests that need Ray; this process has joined it, and commands that it starts join it."""
    import ray

    from oasis_ray.cluster import connection

    with Cluster(store.environment) as made:
        before = dict(os.environ)
        os.environ.update(made.environment)
        connection.join()
        yield made
        ray.shutdown()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple["Kept", Path]]:
    """The engines of a local run on vLLM that has ended, and its folder."""
    from tests.support.engines import cores_here, run_demo

    folder = tmp_path_factory.mktemp("demo")
    kept = run_demo(folder)
    yield kept, folder / "run"
    kept.end()
    deadline = time.monotonic() + 30  # a core that has been told to end takes its time on a busy machine
    while cores_here() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert cores_here() == []


@pytest.fixture(scope="session")
def llm_on_ray(ray_cluster: Cluster) -> Iterator["PoolHandle"]:
    """An engine of vLLM on the cluster, which may be killed: another takes its place."""
    from oasis_ray.pool.deployment import Deployments
    from tests.support.engines import small_llm

    pool = small_llm()
    deployments = Deployments()
    handles = deployments.start({"llm": pool}, "shared-vllm", gpus={"llm": pool.device == "gpu"})
    yield handles["llm"]
    deployments.stop(handles)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `vlm` and `llm`: tiny models with random weights."""
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, ROOT / "benchmarks/random_pair.py", folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def real_images() -> Path:
    """64 real photographs, charts and documents, which stand beside the checkout on some machines."""
    if not SHARED.is_dir():
        pytest.skip(f"the real images are not at {SHARED}")
    return SHARED


@pytest.fixture(scope="module")  # not longer: where Playwright runs, its thread can begin no event loop of its own
def browser() -> Iterator[Any]:
    """A headless Chromium: the machine's, else Playwright's own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: no page is tested")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    with playwright.sync_playwright() as started:
        try:
            chromium = started.chromium.launch(executable_path=found, args=["--no-sandbox"])  # root has no sandbox
        except playwright.Error as error:
            pytest.skip(f"there is no browser here, so no page is tested: {str(error).splitlines()[0]}")
        yield chromium
        chromium.close()


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """Where screenshots go: $OASIS_ARTIFACTS, else the test's own folder."""
    folder = Path(os.environ.get("OASIS_ARTIFACTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def job_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a job file into the test's folder; keys given are laid over a scripted job."""
    return partial(write_job, tmp_path)
