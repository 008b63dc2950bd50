"""vLLM on a model that lies in a store that speaks S3."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.models import LLM
from tests.support.s3 import Store

ASK = """
import asyncio, os, psutil, sys
from oasis_ray.engine.engine import open_engine
from oasis_ray.job.pool import Pool
from oasis_ray.engine.model_files import pin_revisions
from oasis_ray.types import Call, Request, Sampling

async def ask(pool):
    engine = open_engine(pool, gpus=False)
    reply = await engine.ask(Call(Request("Hi", sampling=Sampling(max_tokens=4, min_tokens=4)), "r", 1))
    print("TOKENS", reply.samples[0].tokens, flush=True)
    # The engine's own process would be waited for at the end of this one.
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(0)

if __name__ == "__main__":
    pool = Pool(model=sys.argv[1], device="cpu", max_context_tokens=512, max_sequences=4)
    asyncio.run(ask(pin_revisions({"llm": pool}, {})["llm"]))
"""


def test_vllm_loads_a_model_from_a_store(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("slow-model", {f"llm/{file.name}": file.read_bytes() for file in LLM.iterdir()})
    variables = os.environ | store.environment | {"OASIS_MODELS": str(tmp_path / "models"), "HF_HUB_OFFLINE": "1"}
    words = [sys.executable, "-c", ASK, "s3://slow-model/llm/"]
    said = subprocess.run(words, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=500)
    assert "TOKENS 4" in said.stdout, said.stderr[-3000:]
