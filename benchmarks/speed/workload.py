"""What is measured: models, pictures and a job for each round, written into a folder."""

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image, ImageDraw

from benchmarks.demo_images import encoded, picture_of
from benchmarks.speed.deeper import deepen
from oasis_ray.input.columns import IMAGE
from oasis_ray.validation import patch

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MODELS = ROOT / "benchmarks/models"
PAGE = (896, 1120)  # pixels of a document: 32 x 40 = 1,280 image tokens
WORDS = "total amount of the item number date page table value first second paid open year net tax sum".split()  # noqa: SIM905


@dataclass(frozen=True)
class Workload:
    """A recipe over pictures of one kind, with a pair of models of one depth. `rows` are those of a round."""

    name: str
    recipe: str
    rows: int
    layers: int = 0
    blocks: int = 0
    documents: bool = False
    in_flight: int = 32
    simulated: bool = False
    changes: dict[str, Any] = field(default_factory=dict)

    def write_models(self, folder: Path) -> dict[str, int]:
        """Write `folder/vlm` and `folder/llm`; the number of parameters of each."""
        if self.simulated:
            return {}
        blocks = {"vlm": self.blocks, "llm": 0}
        return {name: deepen(MODELS / name, folder / name, self.layers, blocks[name]) for name in ("vlm", "llm")}

    def write_job(self, folder: Path, number: int, **changes: Any) -> Path:
        """Write the pictures of round `number` and a job over them, with `changes` laid over it; the job's path."""
        shards = folder / f"round-{number}"
        if not shards.exists():
            shards.mkdir()
            rows = [{"id": name, "image": {"bytes": data, "path": name}} for name, data in self._pictures(number)]
            table = pa.Table.from_pylist(rows, pa.schema({"id": pa.string(), "image": IMAGE}))
            pq.write_table(table, shards / "shard-0.parquet", row_group_size=8)
        engine: dict[str, Any] = {"device": "cpu", "max_context_tokens": 2048, "max_sequences": 64, "kv_cache_gb": 1.0}
        if self.simulated:
            engine |= {"backend": "simulated", "script": "benchmarks.simulated:oasis_in_short"}
        else:
            engine["engine_args"] = {"dtype": "float32", "block_size": 32}
        pixels = {"image_pixels": [112 * 112, PAGE[0] * PAGE[1]]} if self.documents else {}
        job = {
            "recipe": self.recipe,
            "input": {"path": str(shards), "id": "id"},
            "pools": {
                "vlm": {"model": str(folder / "vlm"), **engine, **pixels},
                "llm": {"model": str(folder / "llm"), **engine},
            },
            "seed": number,
            "max_failed": 1.0,
            "score_in_full": 0.0,
            "rows_in_flight": self.in_flight,
        }
        name = f"job-{number}-{len(list(folder.glob('job-*')))}"
        path = folder / f"{name}.yaml"
        own = {"output": {"path": str(folder / f"run-{name}")}}
        path.write_text(yaml.safe_dump(patch(patch(job | own, self.changes), changes)))
        return path

    def _pictures(self, number: int) -> Iterator[tuple[str, bytes]]:
        for at in range(self.rows):
            seed = f"speed {number}"
            yield f"{number}-{at:05d}.png", page(f"{seed} {at}") if self.documents else encoded(picture_of(seed, at)[1])


def page(seed: str) -> bytes:
    """A page of words, as a JPEG."""
    rng, sheet, buffer = random.Random(seed), Image.new("RGB", PAGE, "white"), io.BytesIO()
    pen = ImageDraw.Draw(sheet)
    for line in range(60):
        words = " ".join(rng.choice([*WORDS, str(rng.randrange(10_000))]) for _ in range(rng.randrange(4, 18)))
        pen.text((60, 40 + 17 * line), words, fill="black")
    sheet.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


DEMO = yaml.safe_load((ROOT / "cluster/jobs/demo.yaml").read_text())
LOAD = str(HERE / "load.yaml")
# The whole recipe, with the trained pair made four times as deep, so that engines and not Python are the load.
OASIS = Workload(
    "oasis",
    "oasis",
    320,
    layers=12,
    blocks=8,
    in_flight=64,
    changes={"prompts": str(ROOT / DEMO["prompts"]), "nodes": DEMO["nodes"]},
)
# Pages of 1,280 image tokens: prefill is the load. The small pair can't read them; every reply is taken.
DOCUMENTS = Workload("documents", LOAD, 64, documents=True, in_flight=8)
# The latencies of a 72B pair (replies a tenth as long, or rows would take half a minute), and no load at all on the
# processors: what a GPU looks like to the graph.
SIMULATED = Workload("simulated", "oasis", 384, in_flight=32, simulated=True)
# The small pair as it is, on its own pictures: the engines are nearly free, so this shows everything around them.
SMALL = Workload("small", LOAD, 200)
