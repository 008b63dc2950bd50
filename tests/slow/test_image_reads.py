"""How often the engine processes an image when several instructions are made from it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from benchmarks.quality import rows_of
from benchmarks.speed.workload import PAGE, page
from oasis_ray.input.columns import IMAGE
from tests.support.checkout import ROOT
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
                "for_each": {"instruction": before},  # no prompt is asked twice
                "inputs": {"image": "source.image"},
                "with": REPLY,
            }
            for before, name in zip(("hooks.texts", *(f"{name}.text" for name in NAMES)), NAMES, strict=False)
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
                "engine_args": {"dtype": "float32", "block_size": 32, "enable_logging_iteration_details": True},
            }
        },
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    command = [sys.executable, "-m", "oasis_ray", "run", str(tmp_path / "job.yaml")]
    variables = os.environ | {"VLLM_LOGGING_LEVEL": "INFO"}
    said = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=500)
    assert said.returncode == 0, (said.stdout + said.stderr)[-3000:]
    steps = said.stdout + said.stderr  # vLLM logs each of its steps
    encoded = sum(map(int, re.findall(r"encoder inputs: (\d+)", steps)))
    computed = sum(map(int, re.findall(r"(\d+) context tokens", steps)))
    asked = [row["lineage"] for row in rows_of(tmp_path / "run")["accepted"]]
    assert [len(requests) for requests in asked] == [1 + TURNS * len(NAMES)] * IMAGES
    image = asked[0][0]["prompt_tokens"]  # of `hooks`: an image in an open turn
    words = sum(request["prompt_tokens"] - image for requests in asked for request in requests)
    assert encoded == IMAGES
    assert (computed - words) / (image * IMAGES) <= 1.1
