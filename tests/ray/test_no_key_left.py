"""What docs/security.md promises of runs on a cluster: no key in what they leave behind, and a token on the cluster."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.checkout import ROOT
from tests.support.cluster import ASKED_FOR, PLANTED, Cluster
from tests.support.command import call
from tests.support.jobs import rows
from tests.support.leaks import holding, texts_below
from tests.support.models import VLM
from tests.support.servers import Echo, serving

# A cluster that a run starts, for as long as nothing is said to this process.
STARTED = """
import sys, ray
from oasis_ray.cluster.connection import join
join(cpus=1)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


def test_a_run_on_a_cluster_leaves_no_key_behind(
    ray_cluster: Cluster, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    """The keys are in the environment of all processes of the cluster, and the server repeats the key that it refuses
    to the engine. Looked at: the run folder, the output, and all that Ray keeps of this run and of those before.
    """
    rows(tmp_path, "a", "b")
    with serving(Echo) as url:
        pool = {"backend": "openai", "url": f"{url}/400/v1", "api_key_env": "OTHER_KEY", "model": str(VLM)}
        pools = {"vlm": pool, "llm": pool | {"api_key_env": "OPENAI_API_KEY"}}
        done = call("run", job_file(executor="ray", pools=pools))
    assert done.returncode == 0, done.stderr
    assert "2 of 2 rows ended: 0 accepted, 0 captions, 0 rejected, 2 failed" in done.stdout
    assert f"Bearer {PLANTED['OTHER_KEY']}" in Echo.keys
    texts = texts_below(tmp_path) | texts_below(ray_cluster.logs) | {"stdout": done.stdout, "stderr": done.stderr}
    assert holding(texts, *PLANTED.values()) == []
    assert any("/logs/worker-" in name for name in texts)  # that something was looked at: Ray's logs, and the rows
    assert any("no good: Bearer $OTHER_KEY" in text for text in texts.values())


def test_a_cluster_that_a_run_starts_answers_nobody_without_its_token() -> None:
    plain = {key: value for key, value in os.environ.items() if key not in ASKED_FOR and key != "RAY_ADDRESS"}
    run = subprocess.Popen(
        [sys.executable, "-c", STARTED], cwd=ROOT, env=plain, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    address = run.stdout.readline().strip()
    asked = subprocess.run(
        [str(Path(sys.executable).parent / "ray"), "status", "--address", address],
        env=plain | {"RAY_AUTH_MODE": "disabled"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    run.communicate("", timeout=60)
    assert (run.returncode, asked.returncode) == (0, 1)
    assert "AuthenticationError" in asked.stderr
