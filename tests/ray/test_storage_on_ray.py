"""A job on a cluster all of whose paths lie in a store that speaks S3."""

from collections.abc import Callable
from pathlib import Path

from oasis_ray.cli import SHIPPED
from oasis_ray.output.audit import audit
from oasis_ray.output.manifest import read_manifest
from tests.support.cluster import Cluster
from tests.support.jobs import execute
from tests.support.leaks import holding, readable, texts_below
from tests.support.s3 import KEY, SECRET, Store
from tests.support.shards import picture, shard

BUCKET = "on-ray"
IDS = ["good", "caption", "unclear", "no-picture"]


def test_a_run_on_a_cluster_reads_and_writes_in_the_store_and_leaves_no_key_behind(
    ray_cluster: Cluster, store_here: Store, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    file = shard(tmp_path / "a.parquet", [{"id": name, "bytes": None, "path": f"{name}.png"} for name in IDS])
    store_here.put(
        BUCKET,
        {f"images/{name}.png": picture() for name in IDS[:-1]}
        | {"shards/a.parquet": file.read_bytes()}
        | {"prompts/clarity.txt": (Path(SHIPPED.prompts) / "clarity.txt").read_bytes()},
    )
    run = f"s3://{BUCKET}/run"
    keys = {"input": {"path": f"s3://{BUCKET}/shards", "id": "id", "root": f"s3://{BUCKET}/images"},
            "output": {"path": run}, "prompts": f"s3://{BUCKET}/prompts"}  # fmt: skip
    execute(job_file(executor="ray", **keys))
    assert audit(run).faults == []
    assert read_manifest(run)["rows"] == {"accepted": 1, "captions": 1, "rejected": 1, "failed": 1}
    names = [name for name in store_here.names(BUCKET) if name.startswith("run/")]
    left = {name: store_here.client().get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}
    texts = {name: readable(name, data) for name, data in left.items()} | texts_below(ray_cluster.logs)
    assert holding(texts, SECRET, KEY) == []
    assert any(name.startswith("run/accepted/") for name in texts)
    assert any("/logs/worker-" in name for name in texts)  # that Ray's logs were looked at
