"""The workflows run what the README's reader runs, and nothing that a checkout can't."""

import re

import pytest
import yaml
from _pytest.mark.expression import Expression

from tests.support.checkout import ROOT

WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yaml")}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def commands(workflow: str) -> list[str]:
    """The commands of a workflow's steps, in order."""
    jobs = WORKFLOWS[workflow]["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def test_the_slow_tests_run_every_night() -> None:
    assert commands("nightly") == ["make test-slow"]
    assert WORKFLOWS["nightly"][True]["schedule"]  # YAML reads the key `on` as true


def test_a_push_runs_what_the_script_of_this_repository_runs() -> None:
    script = re.findall(r"^make .+$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)
    assert commands("ci") == script


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflow_calls_targets_that_are_there(workflow: str) -> None:
    targets = {command.removeprefix("make ") for command in commands(workflow)}
    assert {name for name in targets if not re.search(rf"^{name}:", MAKEFILE, re.MULTILINE)} == set()


@pytest.mark.parametrize(
    "marks", [(), ("ray",), ("vllm",), ("browser",), ("slow",), ("real",), ("trainers",), ("slow", "ray")]
)
def test_each_test_is_run_by_one_target(marks: tuple[str, ...]) -> None:
    selections = re.findall(r"-m pytest.* -m (?:'([^']+)'|(\w+))$", MAKEFILE, re.MULTILINE)
    chosen = [one or other for one, other in selections]
    assert len([text for text in chosen if Expression.compile(text).evaluate(lambda name, **_: name in marks)]) == 1
