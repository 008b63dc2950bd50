"""A whole job on real images and real engines, in a module of its own: two engines at a time suffice for two cores."""

from collections.abc import Callable
from pathlib import Path

from oasis_ray.output.audit import audit
from tests.support.checkout import ROOT
from tests.support.cluster import ENGINES, Cluster
from tests.support.jobs import execute, rows_of


def test_real_images_run_through_vllm_and_every_row_ends_once(
    ray_cluster: Cluster, real_images: Path, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    engine = {"device": ENGINES, "gpu_share": 0.4, "max_context_tokens": 2048, "max_sequences": 32}
    short = {"with": {"sampling": {"max_tokens": 16, "min_tokens": 4}}}
    job = job_file(
        input={"path": str(real_images / "*.parquet"), "id": "id"},
        pools={name: {"model": str(ROOT / "benchmarks/models" / name), **engine} for name in ("vlm", "llm")},
        nodes={"hook": short, "categorize": short},
        executor="ray",
    )
    execute(job)
    result = audit(str(tmp_path / "run"))
    assert (result.rows, sum(result.outcomes.values()), result.faults, result.notes) == (64, 64, [], [])
    ended = [row for outcome in result.outcomes for row in rows_of(tmp_path / "run", outcome)]
    assert all(row["nodes"]["hook"]["text"] for row in ended)
