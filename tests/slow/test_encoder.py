"""How often vLLM's encoder reads a picture."""

import os
import re
import subprocess
import sys

from tests.support.checkout import ROOT
from tests.support.models import VLM

# Eight pictures of 256 tokens, all of them asked about twice, where a batch has room for four; vLLM tells of its steps.
TWICE = """
import asyncio, os, psutil, sys
from oasis_ray.engine.engine import open_engine
from oasis_ray.input.image_admission import admit
from oasis_ray.job.limits import Limits
from oasis_ray.job.pool import Pool
from oasis_ray.types import Call, Request, Sampling
from tests.support.shards import picture

async def ask(pool):
    engine = open_engine(pool, gpus=False)
    images = [admit(picture(colour, (448, 448)), Limits()) for colour in sys.argv[2:]]
    for words in ("What is it?", "Where is it?"):
        requests = [Request(words, (image,), sampling=Sampling(max_tokens=4)) for image in images]
        await asyncio.gather(*(engine.ask(Call(request, f"r{row}", 1)) for row, request in enumerate(requests)))
    # The engine's own process would be waited for at the end of this one.
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(0)

if __name__ == "__main__":
    told = {"enable_logging_iteration_details": True, "max_num_batched_tokens": 1024}
    room = {"max_context_tokens": 1024, "image_pixels": (112 * 112, 448 * 448)}
    asyncio.run(ask(Pool(model=sys.argv[1], device="cpu", engine_args=told, **room)))
"""


def test_the_encoder_reads_a_picture_once_though_a_batch_has_no_room_for_all() -> None:
    colours = ("gold", "plum", "tan", "lime", "navy", "teal", "red", "gray")
    words = [sys.executable, "-c", TWICE, str(VLM), *colours]
    variables = os.environ | {"VLLM_LOGGING_LEVEL": "INFO"}
    said = subprocess.run(words, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=500)
    read = re.findall(r"encoder inputs: (\d+)", said.stdout + said.stderr)
    assert sum(map(int, read)) == len(colours), (said.stdout + said.stderr)[-3000:]
