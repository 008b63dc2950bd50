"""Engines that stages own, as `ray.data.llm` is documented: a processor with an engine of its own for each node.

Prompts are made by this project's own code, token for token the same, and the caches are on; what differs is who holds
engines and how rows go from one to the next. For recipes in which each node asks once and every reply is taken.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import ray

from benchmarks.speed.child import cpu_seconds, spent
from benchmarks.speed.direct import rows_in
from benchmarks.speed.rounds import Round
from benchmarks.speed.workload import ROOT
from oasis_ray.cluster import connection
from oasis_ray.engine.chat_template import Chat
from oasis_ray.engine.vllm_args import engine_args
from oasis_ray.input.image_admission import admit
from oasis_ray.input.image_renditions import decode
from oasis_ray.job.job import Job
from oasis_ray.pipeline.node import seed
from oasis_ray.recipe.recipe import Node

BATCH = 8  # rows; the engines take as many batches at once as they do by default


@contextmanager
def owned() -> Iterator[Callable[[Path], Round]]:
    """Start a cluster. What is yielded runs a job, engines and all: they are loaded each time."""
    os.environ |= {
        "PYTHONPATH": str(ROOT),
        # What this project's own engines are given on CPUs; six that take as much memory as they like find none.
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    connection.join()
    yield measure
    ray.shutdown()


def measure(path: Path) -> Round:
    """Run a job; when its rows ended. The time is that from the first reply of all: most of loading is not in it."""
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    job, recipe, rows = rows_in(path)
    dataset = ray.data.from_items([{"id": row["id"], "image": row["image"]["bytes"], "steps": []} for row in rows])
    off = {f"{stage}_stage": {"enabled": False} for stage in ("chat_template", "tokenize", "detokenize")}
    for node in recipe.nodes:
        pool = job.pools[str(node.pool)]
        args = engine_args(pool, pool.folder, gpus=False, images="image" in node.inputs)
        config = vLLMEngineProcessorConfig(
            model_source=args.pop("model"),
            engine_kwargs=args,
            batch_size=BATCH,
            concurrency=1,
            placement_group_config={"bundles": [{"CPU": 0.1}]},
            **off,
        )
        dataset = build_processor(config, preprocess=partial(ask, job, node), postprocess=partial(read, node))(dataset)
    before = cpu_seconds()
    found = dataset.take_all()
    after = cpu_seconds()
    moments = sorted(row["ended"] for row in found)
    return Round(
        moments[-1] - min(row["since"] for row in found),
        moments,
        {row["id"]: ("accepted", list(row["steps"])) for row in found},
        spent(before, after),
    )


@cache
def chat_of(folder: str) -> Chat:
    """The chat format of a model, read once in a process."""
    return Chat.load(folder)


def ask(job: Job, node: Node, row: dict[str, Any]) -> dict[str, Any]:
    """The request of a node, as `ray.data.llm` takes it, beside what the row holds."""
    pool = job.pools[str(node.pool)]
    image = admit(row["image"], job.input.limits)
    given = {
        name: image if ref.node == "source" else row[f"text_{ref.node}"]  # type: ignore[union-attr]
        for name, ref in node.inputs.items()
    }
    (request,) = node.stage.requests(node.in_type(**given))  # type: ignore[attr-defined]
    wanted = request.sampling
    asked: dict[str, Any] = {
        "tokenized_prompt": chat_of(pool.folder).ids(request),
        "sampling_params": {
            "temperature": wanted.temperature, "top_k": wanted.top_k, "top_p": wanted.top_p,
            "max_tokens": wanted.max_tokens, "min_tokens": wanted.min_tokens,
            "seed": seed(job.seed, row["id"], node.name, 0),
        },
    }  # fmt: skip
    if request.images:
        asked["multimodal_data"] = {"image": [decode(image)]}
        asked["multimodal_uuids"] = {"image": [image.digest]}
    return {**row, **asked}


def read(node: Node, row: dict[str, Any]) -> dict[str, Any]:
    """What goes on to the next processor."""
    kept = {key: value for key, value in row.items() if key in ("id", "image", "since") or key.startswith("text_")}
    step = {
        "node": node.name, "prompt_tokens": int(row["num_input_tokens"]),
        "cached_tokens": 0, "reply_tokens": int(row["num_generated_tokens"]),
    }  # fmt: skip
    return {
        "since": time.time(),
        **kept,
        "steps": [*row["steps"], step],
        f"text_{node.name}": row["generated_text"],
        "ended": time.time(),
    }
