"""How often the engine processes an image when several instructions are made from it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from benchmarks.quality import rows_of
from benchmarks.speed.workload import PAGE, page
from oasis_ray.cli import SHIPPED
from oasis_ray.input.columns import IMAGE
from oasis_ray.job.load import load_job
from oasis_ray.run.run import Run
from tests.support.models import VLM

IMAGES, TURNS = 6, 5
# The requests with the image that oasis_n makes for an image whose instructions all pass. Every reply passes here,
# because the model can't read pages.
REPLY = {"keep_truncated": True, "sampling": {"max_tokens": 16, "min_tokens": 16}}
NAMES = ("hallucination", "solvability", "clarity", "respond")
RECIPE = {
    "name": "turns",
    "source": {"image": "image"},
    "nodes": [
        {
            "name": "hooks",
            "stage": "hooks",
            "pool": "vlm",
            "inputs": {"image": "source.image"},
            "with": {"n": TURNS, "sampling": {"temperature": 1.0, "max_tokens": 32, "min_tokens": 32}},
        },
        *(
            {
                "name": name,
                "stage": "respond",
                "pool": "vlm",
                "for_each": {"instruction": "hooks.texts"},
                "inputs": {"image": "source.image"},
                "with": REPLY,
            }
            for name in NAMES
        ),
        {
            "name": "talk",
            "stage": "conversation",
            "inputs": {"questions": "hooks.texts", "answers": "respond.text"},
        },
    ],
    "records": {"accepted": {"data_source": "turns", "conversation": "talk.turns"}},
}


def test_five_instructions_from_one_image_cost_little_more_than_one_reading(tmp_path: Path) -> None:
    rows = [{"id": f"{n}", "image": {"bytes": page(f"reads {n}"), "path": f"{n}.jpg"}} for n in range(IMAGES)]
    (tmp_path / "shards").mkdir()
    pq.write_table(
        pa.Table.from_pylist(rows, pa.schema({"id": pa.string(), "image": IMAGE})), tmp_path / "shards/a.parquet"
    )
    (tmp_path / "turns.yaml").write_text(yaml.safe_dump(RECIPE))
    job = {
        "recipe": str(tmp_path / "turns.yaml"),
        "executor": "local",
        "input": {"path": str(tmp_path / "shards"), "id": "id"},
        "output": {"path": str(tmp_path / "run")},
        "pools": {
            "vlm": {
                "model": str(VLM),
                "device": "cpu",
                "max_context_tokens": 2048,
                "image_pixels": [112 * 112, PAGE[0] * PAGE[1]],
                "engine_args": {"dtype": "float32", "block_size": 32},
            }
        },
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    Run(*load_job(tmp_path / "job.yaml", SHIPPED)).execute()
    reads = list[float]()
    for row in rows_of(tmp_path / "run")["accepted"]:
        asked = row["lineage"]
        assert len(asked) == 1 + TURNS * len(NAMES)
        image = next(step["prompt_tokens"] for step in asked if step["node"] == "hooks")  # it has nothing else
        reads.append(sum((image - min(image, step["cached_tokens"])) / image for step in asked))
    assert len(reads) == IMAGES
    assert sum(reads) / IMAGES <= 1.1, reads
