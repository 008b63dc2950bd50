"""A script of a pool is imported when the job is loaded, so that a wrong one is reported before an engine starts."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import load_job
from tests.support.command import call_here

JobFile = Callable[..., Path]

REPLIES = """
from oasis_ray.types import Call, Reply

ANSWERS = ["yes", "no"]

class Model:
    def __call__(self, call): return Reply.of("yes")

model = Model()

def reply(call): return Reply.of("yes")
async def slowly(call): return reply(call)
def _private(call): return reply(call)
"""
MODULES = {
    "the_replies.py": REPLIES,
    "no_replies.py": "ANSWERS = {}",
    "raising_replies.py": "raise KeyError('LICENCE')",
    "unfinished_replies.py": "def reply(call:",
    "replies_with_torchh.py": "import torchh_that_is_absent",
    "a_package/__init__.py": "",
}
PATH = "correct the name, or let Python find it: set PYTHONPATH to its folder, or install its package"
HAS = "(it has: reply, slowly)"
CALLED = "name a function that takes a Call and returns a Reply"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules that a user has beside the job file, and in Python's path."""
    before = set(sys.modules)
    for name, text in MODULES.items():
        file = tmp_path / "beside" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "beside")
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def pool(script: str, **keys: Any) -> dict[str, Any]:
    return {"backend": "scripted", "model": "m", "script": script, "device": "cpu"} | keys


FORM = "write it as `package.module:function`"
ADD = "correct the name, or add the function"
WRONG = {
    "replies": FORM,
    "the_replies:": FORM,
    "./the_replies:reply": FORM,
    "replies.py:reply": f"there is no module 'replies' in Python's path; {PATH}",
    "the_replys:reply": f"there is no module 'the_replys' in Python's path; {PATH}",
    "a_package.replies:reply": f"there is no module 'a_package.replies' in Python's path; {PATH}",
    "the_replies:replay": f"module 'the_replies' has no function 'replay'; {ADD} {HAS}. Did you mean 'reply'?",
    "the_replies:zzz": f"module 'the_replies' has no function 'zzz'; {ADD} {HAS}.",
    "no_replies:reply": f"module 'no_replies' has no function 'reply'; {ADD} (it has none).",
    "the_replies:ANSWERS": f"'ANSWERS' of module 'the_replies' can't be called, it is of type list; {CALLED} {HAS}",
    "no_replies:ANSWERS": (
        f"'ANSWERS' of module 'no_replies' can't be called, it is of type dict; {CALLED} (it has none)"
    ),
    "raising_replies:reply": (
        "module 'raising_replies' fails when it is imported (KeyError: 'LICENCE'); correct the module"
    ),
    "replies_with_torchh:reply": (
        "module 'replies_with_torchh' fails when it is imported (ModuleNotFoundError: No module named "
        "'torchh_that_is_absent'); correct the module"
    ),
}


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize("command", ["plan", "run"])
def test_every_script_that_can_not_answer_is_reported_with_its_pool_and_what_to_do(
    command: str, job_file: JobFile
) -> None:
    for script, why in WRONG.items():
        path = job_file(pools={"vlm": pool(script), "llm": pool("the_replies:reply")})
        done = call_here(command, path)
        message = f"JobError: 1 problem:\n  - {path}: pools.vlm: script '{script}' can't be imported: {why}\n"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", message), script


@pytest.mark.usefixtures("modules")
def test_scripts_are_reported_together_with_the_other_problems_of_a_job(job_file: JobFile) -> None:
    simulated = pool("unfinished_replies:reply", backend="simulated")
    path = job_file(pools={"llm": simulated, "vlm": pool("the_replies:replay")}, nodes={"clarety": {}})
    at, unfinished = f"  - {path}: pools", "module 'unfinished_replies' fails when it is imported"
    where = "SyntaxError: '(' was never closed (unfinished_replies.py, line 1)"
    assert call_here("plan", path).stderr.splitlines()[:3] == [
        "JobError: 3 problems:",
        f"{at}.llm: script 'unfinished_replies:reply' can't be imported: {unfinished} ({where}); correct the module",
        f"{at}.vlm: script 'the_replies:replay' can't be imported: {WRONG['the_replies:replay']}",
    ]


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize("name", ["reply", "slowly", "model", "_private"])
def test_all_that_can_be_called_is_a_script(name: str, job_file: JobFile) -> None:
    job, _ = load_job(job_file(pools={"vlm": pool(f"the_replies:{name}"), "llm": pool("the_replies:reply")}), SHIPPED)
    assert job.pools["vlm"].script == f"the_replies:{name}"


def test_the_script_of_a_pool_with_another_backend_is_not_imported(job_file: JobFile) -> None:
    models = {"vlm": {"model": "some/model", "script": "absent:reply"}, "llm": {"model": "some/model"}}
    assert load_job(job_file(pools=models, executor="ray"), SHIPPED)[0].pools["vlm"].script == "absent:reply"
