"""`plan --probe` of a recipe whose checks weigh: what it prints, keeps in run.json, and what the report shows of it."""

from pathlib import Path

import yaml

from oasis_ray.output.manifest import read_manifest
from oasis_ray.report.build import make
from oasis_ray.types import Call, Reply, Sample
from tests.support.command import call_here
from tests.support.jobs import rows, write_job

SURE = {"one": 0.15, "two": 0.75, "three": 0.75, "four": 1.0}
WEIGHS = {"prompt": "statement_correct", "choices": ["Correct", "Incorrect"], "accept": ["Correct"], "at_least": 0}
KEPT = "  of which at_least would keep:"
RECIPE = {
    "name": "weighs",
    "nodes": [
        {"name": "hook", "stage": "hook", "pool": "vlm", "inputs": {"image": "source.image"}},
        {"name": "lines", "stage": "split", "inputs": {"text": "hook.text"}, "with": {"by": "line"}},
        {"name": "sure", "stage": "classify", "pool": "llm", "inputs": {"statement": "hook.text"}, "with": WEIGHS},
        {"name": "each", "stage": "classify", "pool": "llm", "for_each": {"statement": "lines.parts"}, "with": WEIGHS},
        {"name": "answer", "stage": "respond", "pool": "vlm",
         "inputs": {"image": "source.image", "instruction": "hook.text"}},
    ],
    "records": {"accepted": {"data_source": "w", "instruction": "hook.text", "response": "answer.text"}},
}  # fmt: skip


def script(call: Call) -> Reply:
    """Two lines from each hook. The first one has half of the row's probability; the second and both have all of it."""
    sure = SURE[call.row]
    if not call.request.weigh:
        return Reply.of("What?\nWhy?")
    sure = sure if "Why?" in call.request.text else sure / 2
    return Reply((Sample("Correct", probabilities={"Correct": sure, "Incorrect": 1 - sure}),))


def test_a_probe_shows_the_probabilities_of_checks_for_which_a_threshold_is_wanted(tmp_path: Path) -> None:
    recipe = tmp_path / "weighs.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    rows(tmp_path, *SURE)
    pool = {"backend": "scripted", "model": "script", "script": f"{__name__}:script", "device": "cpu"}
    job = write_job(tmp_path, recipe=str(recipe), pools={"vlm": pool, "llm": pool})
    done = call_here("plan", job, "--probe", 4)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("numbers of "))
    assert lines[at : at + 4] == [
        "numbers of sure (4 rows): 5% 0.15, 25% 0.15, 50% 0.75, 75% 0.75, 95% 1",
        f"{KEPT} 0.1 100.0%, 0.2 75.0%, 0.3 75.0%, 0.4 75.0%, 0.5 75.0%, 0.6 75.0%, 0.7 75.0%, 0.8 25.0%, 0.9 25.0%",
        "numbers of each (8 elements): 5% 0.075, 25% 0.1499, 50% 0.375, 75% 0.75, 95% 1",  # quantiles to 0.2%
        f"{KEPT} 0.1 87.5%, 0.2 75.0%, 0.3 75.0%, 0.4 50.0%, 0.5 50.0%, 0.6 37.5%, 0.7 37.5%, 0.8 12.5%, 0.9 12.5%",
    ]
    probe = f"{tmp_path}/run-probe"
    kept = {one["node"]: (one["elements"], one["rows"]) for one in read_manifest(probe)["forecast"]["numbers"]}
    assert kept == {"sure": (False, 4), "each": (True, 8)}
    (subject,) = make([probe])[1].subjects
    bins = {one.axis: [(some.low, some.rows) for some in one.histogram if some.rows] for one in subject.measures}
    assert bins == {
        "sure": [(0.15, 1), (0.75, 2), (0.95, 1)],
        "each": [(0.05, 1), (0.15, 1), (0.35, 2), (0.5, 1), (0.75, 2), (0.95, 1)],
    }
