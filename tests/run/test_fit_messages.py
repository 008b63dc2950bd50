"""What a job on GPUs is told when its phases are planned: from values alone, no cluster is started."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.cluster.nodes import Node
from oasis_ray.errors import FitError
from oasis_ray.job.load import load_job
from oasis_ray.pool.placement import on_gpus
from oasis_ray.run.phases import plan

MODEL = {"backend": "simulated", "model": "m", "script": "tests.support.scripts:oasis"}
WIDE = MODEL | {"tensor_parallel": 2}
HAS = "available: n: CPU 8, GPU 1"
LACKS_VLM = ["pool 'vlm' needs 1 engine, each 1 x GPU 1; there is room for 0", HAS]
LACKS_WIDE = ["pool 'llm' needs 1 engine, each 2 x GPU 1 on one node; there is room for 0", HAS]
IN_THREE = ["phase 1 of 3: vlm", "phase 2 of 3: llm", "phase 3 of 3: vlm"]
AT_ONCE = ["phase 1 of 1: llm, vlm"]


@pytest.mark.parametrize(
    ("phases", "llm", "gpus", "grows", "expected"),
    [
        ("auto", MODEL, 1, False, IN_THREE),
        ("auto", MODEL, 2, False, AT_ONCE),
        ("off", MODEL, 2, False, AT_ONCE),
        ("off", MODEL, 1, False, LACKS_VLM),
        ("auto", WIDE, 1, False, LACKS_WIDE),  # the pool that fits by itself is not told
        ("auto", WIDE, 2, False, IN_THREE),
        # Nodes come for all pools at once.
        ("auto", WIDE, 0, True, AT_ONCE),
        ("off", WIDE, 0, True, AT_ONCE),
    ],
)
def test_pools_that_do_not_fit_together_run_in_phases_or_say_what_is_lacking(
    phases: str, llm: dict[str, Any], gpus: int, grows: bool, expected: list[str], job_file: Callable[..., Path]
) -> None:
    path = job_file(executor="ray", phases=phases, pools={"vlm": MODEL, "llm": llm})
    job, recipe = load_job(path, SHIPPED)
    have = [Node("n", {"CPU": 8.0, "GPU": float(gpus)})]
    try:
        told = list(map(str, plan(job, recipe, on_gpus(job.pools, have), have, grows=grows)))
    except FitError as error:
        told = str(error).splitlines()
    assert told == expected
