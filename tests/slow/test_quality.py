"""The quality benchmark in small, on the trained pair and real vLLM: the gate keeps what is good."""

from pathlib import Path

import pytest

from benchmarks.demo_images import write_shards
from benchmarks.quality import RUNS, job, measure, rows_of
from benchmarks.share import Share
from tests.support.cluster import ENGINES
from tests.support.jobs import execute


def test_an_interval_is_wilsons() -> None:
    low, high = Share(8, 10).interval
    assert (round(low, 4), round(high, 4), Share(8, 10).value) == (0.4902, 0.9433, 0.8)
    assert (Share(0, 0).interval, Share(0, 0).value) == ((0.0, 1.0), None)
    assert Share(0, 5).interval[0] == 0.0


@pytest.fixture(scope="module")
def folder(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two runs of the benchmark on 72 fresh pictures."""
    folder = tmp_path_factory.mktemp("quality")
    write_shards(folder / "shards", "test", 72, {})
    for name, changes in RUNS.items():
        # The tests' cluster says that it has GPUs.
        execute(job(folder, name, changes), f"pools.vlm.device={ENGINES}", f"pools.llm.device={ENGINES}")
    return folder


@pytest.mark.slow
def test_judges_know_the_world_and_the_gate_keeps_what_is_good(folder: Path) -> None:
    shares = measure(rows_of(folder / "judged"), rows_of(folder / "free"))
    assert shares["failed"].part <= 3
    value = {name: share.value or 0.0 for name, share in shares.items()}
    # Far below what the full benchmark measures: of so few rows an interval is wide.
    assert value["categorize_accuracy"] > 0.9
    assert value["extraction_exact"] > 0.75
    for axis in ("nonsense", "clarity", "hallucination", "solvability"):
        assert value[f"{axis}_agreement"] > 0.75, axis
    assert value["good_after_gate"] > max(0.75, value["good_before_gate"])
    assert value["response_accuracy_accepted"] > value["response_accuracy_unfiltered"]
    assert value["caption_wellformed_recycled"] >= value["caption_wellformed_raw"]
