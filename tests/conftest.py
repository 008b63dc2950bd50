"""What the tests share: one Ray cluster a session, pictures, shards, and one pair of tiny models."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from oasis_ray.schema import IMAGE

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local cluster for all tests that run a job; its workers can import `tests.scripts`."""
    os.environ["PYTHONPATH"] = str(ROOT)
    import ray

    from oasis_ray import cluster

    cluster.join()
    yield
    ray.shutdown()


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


def picture(colour: str = "teal", size: tuple[int, int] = (112, 112), kind: str = "PNG", **options: Any) -> bytes:
    """An encoded picture of one colour."""
    buffer = io.BytesIO()
    PIL.Image.new("RGB", size, colour).save(buffer, kind, **options)
    return buffer.getvalue()


def shard(path: Path, rows: list[dict[str, Any]], row_group_size: int = 4) -> Path:
    """A shard with columns id and image (bytes and path) of rows {id, bytes}."""
    table = pa.table(
        {
            "id": pa.array([row["id"] for row in rows], pa.string()),
            "image": pa.array([{"bytes": row["bytes"], "path": row.get("path")} for row in rows], IMAGE),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=row_group_size)
    return path


def scripted(folder: Path, **keys: Any) -> Path:
    """A job file in a folder; keys given are laid over a scripted job."""
    pool = {"backend": "scripted", "model": "script", "script": "tests.scripts:oasis", "device": "cpu"}
    job = {
        "recipe": "oasis",
        "input": {"path": str(folder / "shards"), "id": "id"},
        "output": {"path": str(folder / "run")},
        "pools": {"vlm": pool, "llm": pool},
        "max_failed": 1.0,
    } | keys
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    return path


@pytest.fixture
def job_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a job file into the test's folder; keys given are laid over a scripted job."""
    return partial(scripted, tmp_path)
