"""Command line: output, exit codes, and commands without Ray."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.run.local_executor import LocalExecutor, gpu_count
from tests.support.checkout import ROOT
from tests.support.command import call, call_here
from tests.support.jobs import rows
from tests.support.shards import picture, shard

JobFile = Callable[..., Path]
MODEL = {"backend": "simulated", "model": "m", "script": "tests.support.scripts:oasis"}


def test_all_problems_of_a_job_are_reported_with_code_2(job_file: JobFile) -> None:
    path = job_file(nodes={"clarety": {}}, seeds=1)
    done = call("plan", path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("JobError: 2 problems:\n")
    assert f"{path}: seeds: unknown key" in done.stderr
    assert "the recipe has no node 'clarety'" in done.stderr
    assert done.stderr.rstrip().endswith("Did you mean 'clarity'?")


def test_an_input_that_is_not_there_is_reported_before_anything_starts(job_file: JobFile) -> None:
    done = call_here("run", job_file())
    assert done.returncode == 2
    assert "input.path: there are no Parquet files at " in done.stderr
    assert "starting the engines" not in done.stdout


def test_a_run_prints_its_funnel_and_too_many_failures_end_with_3(tmp_path: Path, job_file: JobFile) -> None:
    given = [{"id": name, "bytes": picture()} for name in ("good", "caption", "unclear")]
    shard(tmp_path / "shards/a.parquet", [*given, {"id": "empty", "bytes": b""}])
    path = job_file(max_failed=0.1)
    done = call("run", path)
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("reading the input …\ninspecting this machine …\nstarting the engines …\n")
    assert "hook texts that are instructions: 66.7% (2 of 3); published: 49.9%" in done.stdout
    assert "judged instructions that are accepted: 50.0% (1 of 2); published: 50.9%" in done.stdout
    assert "4 of 4 rows ended: 1 accepted, 1 captions, 1 rejected, 1 failed" in done.stdout
    assert done.stderr == "1 row failed; the job allows 0.4 (max_failed: 0.1)\n"
    run = tmp_path / "run"
    assert json.loads((run / "run.json").read_text())["state"] == "done"
    audited = call("audit", run)
    assert (audited.returncode, audited.stderr) == (0, "")
    assert audited.stdout.splitlines() == [
        "4 input rows = 1 accepted + 1 captions + 1 rejected + 1 failed   (4 parts read)",
        "every row ended exactly once",
    ]
    assert "rejected: score_1 1" in call("status", run).stdout
    next((run / "accepted").glob("*.parquet")).unlink()
    broken = call_here("audit", run)
    assert broken.returncode == 1
    assert "fault: 1 id of the input never ended: good" in broken.stderr


ADVICE = "or use Ray: executor: ray"
ONE = "a local run has one engine per pool"
BEYOND: dict[str, tuple[str, str]] = {
    "phases": ("phases=auto", "phases: auto: a local run has all engines at once; remove `phases`"),
    "workers": ("workers=2", "workers: 2: a local run has one process; remove `workers`"),
    "replicas": ("pools.vlm.replicas=2", f"pools.vlm.replicas: 2: {ONE}; remove it"),
    "a pool that grows": ("pools.vlm.replicas=[0,3]", f"pools.vlm.replicas: [0, 3]: {ONE}; remove it"),
    "GPU types": ("pools.vlm.gpu_types={H100: {replicas: 2}}", f"pools.vlm.gpu_types: {ONE}; remove `gpu_types`"),
    "a type": ("pools.vlm.gpu_type=H100",
               "pools.vlm.gpu_type: a local run uses the GPUs of this machine; remove it"),
    "shared engines": ("pools.vlm.shared=judge",
                       "pools.vlm.shared: judge: a local run can't share engines; remove it"),
}  # fmt: skip


@pytest.mark.parametrize("command", ["run", "plan"])
def test_what_only_a_cluster_can_do_is_refused_with_what_to_do_instead(command: str, job_file: JobFile) -> None:
    for key, (text, problem) in BEYOND.items():
        path = job_file(executor="ray", pools={"vlm": MODEL, "llm": MODEL})
        done = call_here(command, path, "--local", "--set", text)
        message = f"JobError: 1 problem:\n  - {path}: {problem}, {ADVICE}\n"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", message), key


def test_all_that_only_a_cluster_can_do_is_reported_at_once(job_file: JobFile) -> None:
    path = job_file(pools={"vlm": MODEL | {"replicas": 2, "shared": "judge"}, "llm": MODEL}, workers=4)
    assert call_here("plan", path).stderr.splitlines() == [
        "JobError: 3 problems:",
        *(f"  - {path}: {BEYOND[key][1].replace('workers: 2', 'workers: 4')}, {ADVICE}"
          for key in ("workers", "replicas", "shared engines")),
    ]  # fmt: skip


def test_a_plan_says_that_the_job_fits_this_machine(tmp_path: Path, job_file: JobFile) -> None:
    rows(tmp_path, "good", "caption")
    path = job_file(executor="ray")
    done = call_here("plan", path, "--local")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-4:] == [
        "pool llm: script (scripted): 1 engine, each on any free CPUs",
        "pool vlm: script (scripted): 1 engine, each on any free CPUs",
        "the job is valid and fits this machine",
        f"to predict time and cost: oasis-ray plan {path} --local --probe 200 (runs 200 rows)",
    ]


def test_a_plan_says_what_this_machine_lacks_and_ends_with_4(job_file: JobFile) -> None:
    gpus = gpu_count()
    made: dict[str, Any] = MODEL | {"tensor_parallel": gpus + 1}
    done = call_here("plan", job_file(pools={"vlm": made, "llm": MODEL | {"device": "cpu"}}))
    (node,) = LocalExecutor().nodes()
    each = f"{gpus + 1} x GPU 1{' on one node' if gpus else ''}"
    assert (done.returncode, done.stderr.splitlines()) == (4, [
        f"FitError: pool 'vlm' needs 1 engine, each {each}; there is room for 0",
        f"available: {node.name}: CPU {node.resources['CPU']:g}, GPU {gpus}",
    ])  # fmt: skip


WITHOUT_RAY = '''
import json, os, signal, sys, threading
from oasis_ray.cli import app

folder, job = sys.argv[1:]
run, found, ended = f"{folder}/run", [], threading.Event()


def interrupt():
    """Send SIGINT once the page is served, until the command ends."""
    while not ended.wait(1.5):
        if "oasis_ray.explore.server" in sys.modules:
            os.kill(os.getpid(), signal.SIGINT)


for words in (
    ["recipes"],
    ["ingest", f"{folder}/pictures", f"{folder}/shards"],
    ["plan", job],
    ["plan", job, "--probe", "2"],
    ["run", job],
    ["audit", run],
    ["status", run, "--trace", f"{folder}/trace.json"],
    ["diff", run, run],
    ["export", run, "--format", "llava", "--out", f"{folder}/llava"],
    ["browse", run],
):
    if words[0] == "browse":
        threading.Thread(target=interrupt, daemon=True).start()
    try:
        app(words, standalone_mode=False)
    except KeyboardInterrupt:
        pass
    if words[0] == "browse":
        ended.set()
    found.append([words[0], [name for name in sys.modules if name.partition(".")[0] == "ray"]])
print(json.dumps(found))
'''


def test_no_command_imports_ray_that_does_not_use_a_cluster(tmp_path: Path, job_file: JobFile) -> None:
    (tmp_path / "pictures").mkdir()
    for name in ("good", "caption"):
        (tmp_path / f"pictures/{name}.png").write_bytes(picture())
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RAY, tmp_path, job_file()],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    commands = ["recipes", "ingest", "plan", "plan", "run", "audit", "status", "diff", "export", "browse"]
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [[command, []] for command in commands]


def test_a_folder_of_images_becomes_shards(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.png").write_bytes(picture())
    done = call_here("ingest", tmp_path / "pictures", tmp_path / "shards")
    assert done.stdout == f"1 image in 1 shard at {tmp_path}/shards\n"


def test_recipes_are_listed_with_their_nodes() -> None:
    listed = call_here("recipes").stdout
    assert all(path.stem in listed for path in SHIPPED.recipes.glob("*.yaml"))


def test_a_recipe_is_explained() -> None:
    lines = call_here("recipes", "oasis").stdout.splitlines()
    assert "reads    image" in lines
    assert (
        "pool     llm: asked by categorize, nonsense, caption_language, caption_information, caption_coherence" in lines
    )
    assert "record   captions: rows at the end of route caption, as oasis_caption" in lines
    assert "rate     judged instructions that are accepted: published 50.9%" in lines


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("oasys", "recipe: there is no recipe 'oasys'"),
        ("none.yaml", "there is no file none.yaml"),
    ],
)
def test_a_recipe_that_does_not_exist_is_reported(name: str, problem: str) -> None:
    done = call_here("recipes", name)
    assert (done.returncode, problem in done.stderr) == (2, True)


@pytest.mark.parametrize("words", [("audit", "nowhere"), ("status", "nowhere")])
def test_a_folder_that_is_no_run_is_reported(words: tuple[str, ...]) -> None:
    done = call_here(*words)
    assert (done.returncode, done.stderr) == (
        2,
        "JobError: 1 problem:\n  - nowhere is not a run folder: it has no run.json\n",
    )


def test_what_a_name_says_is_printed_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "in.jsonl").write_text('{"image": "a.png"}\n{"image": "[red]b[/x].png"}\n')
    done = call_here("ingest", tmp_path / "in.jsonl", tmp_path / "shards")
    assert done.stderr == "passed over in.jsonl, line 2: no such file: '[red]b[/x].png'\n"
