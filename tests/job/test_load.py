"""A job file is loaded with the files that it names, or all its problems are reported before anything starts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import JobError
from oasis_ray.job.load import load_job
from oasis_ray.stage.prompt import Prompt, load_prompt
from tests.support.checkout import ROOT
from tests.support.problems import RECIPE, problems

Write = Callable[..., Path]
POOL = {"model": "some/model"}


BROKEN: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a misspelt key": ({"sede": 1}, ["job.yaml: sede: unknown key (…). Did you mean 'seed'?"]),
    "a misspelt key inside": ({"input": {"path": "x", "limits": {"max_pixel": 5}}},
                              ["job.yaml: input.limits.max_pixel: unknown key (…). Did you mean 'max_pixels'?"]),
    "a misspelt key of a pool": ({"pools": {"vlm": {**POOL, "replica": 1}, "llm": POOL}},
                                 ["job.yaml: pools.vlm.replica: unknown key (…). Did you mean 'replicas'?"]),
    "a wrong type": ({"seed": [1]}, ["job.yaml: seed: input should be a valid integer"]),
    "a share above 1": ({"max_failed": 1.5},
                        ["job.yaml: max_failed: a share is at most 1.0, not 1.5; write a count as an integer"]),
    "a backend": ({"pools": {"vlm": {**POOL, "backend": "vlm"}, "llm": POOL}},
        ["job.yaml: pools.vlm.backend: input should be 'vllm', 'openai', 'scripted' or 'simulated', not 'vlm'"]),
    "no server": ({"pools": {"vlm": {**POOL, "backend": "openai"}, "llm": POOL}},
                  ["job.yaml: pools.vlm: backend openai needs `url`, the server's base URL (http://host:8000/v1)"]),
    "no model folder": ({"pools": {"vlm": {"model": "./no/model"}, "llm": POOL}},
        [("job.yaml: pools.vlm: model: there is no model folder 'no/model' (a folder with config.json) on this "
         "machine")]),
    "engines": ({"pools": {"vlm": {**POOL, "replicas": [3, 1]}, "llm": {**POOL, "replicas": 0}}},
                ["job.yaml: pools.vlm.replicas: expected minimum <= maximum and maximum >= 1, not [3, 1]",
                 "job.yaml: pools.llm.replicas: expected minimum <= maximum and maximum >= 1, not [0, 0]"]),
    "a share of a wide engine": ({"pools": {"vlm": {**POOL, "gpu_share": 0.5, "tensor_parallel": 2}, "llm": POOL}},
        [("job.yaml: pools.vlm: gpu_share below 1 requires an engine on a single GPU; remove gpu_share, or remove "
         "tensor_parallel and pipeline_parallel")]),
    "a recipe": ({"recipe": "oassis"}, ["job.yaml: there is no recipe 'oassis' (…). Did you mean 'oasis'?"]),
    "a recipe file": ({"recipe": "no/such.yaml"}, ["there is no file no/such.yaml."]),
    "prompts": ({"prompts": "no/such"}, ["job.yaml: prompts: there is no folder no/such"]),
    "a node": ({"nodes": {"hok": {"enabled": False}}},
               ["job.yaml: nodes: the recipe has no node 'hok' (…). Did you mean 'hook'?"]),
    "a key of a node": ({"nodes": {"hook": {"stge": "hook"}}},
                        ["oasis.yaml, node 'hook': stge: unknown key (…). Did you mean 'stage'?"]),
    "a value of a node": ({"nodes": {"hook": {"enabled": "soon"}}},
        ["oasis.yaml, node 'hook': enabled: input should be a valid boolean, unable to interpret input, not 'soon'"]),
    "a node that is no mapping": ({"nodes": {"hook": 5}},
        ["job.yaml: nodes.hook: input should be a valid dictionary, not 5"]),
    "a parameter": ({"nodes": {"hook": {"with": {"sampling": {"temprature": 1}}}}},
        ["oasis.yaml, node 'hook', with: sampling.temprature: unknown key (…). Did you mean 'temperature'?"]),
    "no pool": ({"nodes": {"hook": {"pool": "vml"}}},
                ["oasis.yaml, node 'hook': the job has no pool 'vml' (…). Did you mean 'vlm'?"]),
}  # fmt: skip


@pytest.mark.parametrize(("keys", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_job_says_where_and_what_may_have_been_meant(
    keys: dict[str, Any], expected: list[str], job_file: Write
) -> None:
    assert sorted(problems(job_file(**keys))) == sorted(expected)


IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "an image format": ({"input": {"path": "x", "limits": {"formats": ["JPG"]}}}, "job.yaml: input.limits.formats"),
    "pixels": ({"pools": {"vlm": {**POOL, "image_pixels": [9, 5]}, "llm": POOL}}, "job.yaml: pools.vlm.image_pixels"),
    "reply": (
        {"nodes": {"hook": {"with": {"sampling": {"max_tokens": 9}}}}},
        "oasis.yaml, node 'hook', with: sampling",
    ),
    "a rule over a node that is off": ({"nodes": {"clarity": {"enabled": False}}}, "oasis.yaml, node 'gate'"),
}


@pytest.mark.parametrize(("keys", "where"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_would_fail_every_row_is_reported_at_load(keys: dict[str, Any], where: str, job_file: Write) -> None:
    assert [text[: len(where)] for text in problems(job_file(**keys))] == [where]


def test_all_problems_of_job_and_recipe_are_reported_together(job_file: Write) -> None:
    path = job_file(
        sede=1, prompts="no/such", nodes={"hok": {}, "clarity": {"stage": "scor"}}, pools={"vlm": {}, "llm": POOL}
    )
    assert problems(path, "rows_in_flight=0") == [
        "job.yaml: pools.vlm.model: this key is required",
        "job.yaml: rows_in_flight: input should be greater than or equal to 1, not 0",
        "job.yaml: sede: unknown key (…). Did you mean 'seed'?",
        "job.yaml: nodes: the recipe has no node 'hok' (…). Did you mean 'hook'?",
        "job.yaml: prompts: there is no folder no/such",
        "oasis.yaml, node 'clarity': there is no stage 'scor' (…). Did you mean 'score'?",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "job.yaml is not a mapping of keys to values"),
        ("[1]", "job.yaml is not a mapping of keys to values"),
        ("a: [1", "job.yaml is not YAML: while parsing a flow sequence"),
        ("a:\tb: 1", "job.yaml is not YAML: while scanning for the next token"),
        ("seed: *nothing", "job.yaml is not YAML: found undefined alias 'nothing'"),
    ],
)
def test_a_file_that_is_no_mapping_is_reported(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(text)
    (problem,) = problems(tmp_path / "job.yaml")
    assert problem.splitlines()[0] == expected


def test_a_file_that_is_not_there_names_its_neighbours(job_file: Write) -> None:
    path = job_file().with_name("jib.yaml")
    with pytest.raises(JobError) as error:
        load_job(path, SHIPPED)
    assert error.value.problems == (f"there is no file {path} (in that folder: job.yaml). Did you mean 'job.yaml'?",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed=7", 7),
        ("pools.vlm.replicas=[1,2]", (1, 2)),
        ("pools.vlm.replicas=3", (3, 3)),
        ("input.id=null", None),
        ("input.path=*.parquet", "*.parquet"),
        ("output.path=a=b", "a=b"),
        ("output.path=2024-99-99", "2024-99-99"),
        ("input.limits.formats=[PNG]", ("PNG",)),
    ],
)
def test_set_overrides_a_key(text: str, expected: Any, job_file: Write) -> None:
    found: Any = load_job(job_file(executor="ray"), SHIPPED, ["seed=1", text])[0].model_dump()
    for part in text.partition("=")[0].split("."):
        found = found[part]
    assert found == expected


def test_a_malformed_set_is_reported_with_all_other_problems(job_file: Write) -> None:
    form = "write it as key.key=value, such as --set pools.vlm.replicas=2"
    assert problems(job_file(), "seed") == [f"--set seed: {form}"]
    assert problems(job_file(), "=5") == [f"--set =5: {form}"]
    assert sorted(problems(job_file(sede=1), "a..b=1", "seed")) == [
        f"--set a..b=1: {form}",
        f"--set seed: {form}",
        "job.yaml: sede: unknown key (…). Did you mean 'seed'?",
    ]


def test_a_job_changes_nodes_and_prompts(job_file: Write, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/clarity.txt").write_text("Is {{instruction}} clear? [[1]] to [[5]]\n")
    nodes = {"hook": {"with": {"sampling": {"max_tokens": 64}}}, "helpful": {"enabled": True}}
    _, recipe = load_job(job_file(nodes=nodes, prompts=str(tmp_path / "mine")), SHIPPED)
    stages = {node.name: node.stage.model_dump() for node in recipe.nodes}
    assert (stages["hook"]["sampling"]["max_tokens"], stages["hook"]["sampling"]["top_k"]) == (64, 20)
    assert "helpful" in stages
    assert "truthful" not in stages
    texts = {node.name: getattr(node.stage, "prompt", None) for node in recipe.nodes}
    assert texts["clarity"] == Prompt("clarity", "Is {{instruction}} clear? [[1]] to [[5]]")
    assert texts["nonsense"] == load_prompt("nonsense", [SHIPPED.prompts])


def test_a_recipe_may_be_a_file(job_file: Write, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(RECIPE.read_text().replace("name: oasis", "name: mine", 1))
    assert load_job(job_file(recipe=str(tmp_path / "mine.yaml")), SHIPPED)[1].name == "mine"


@pytest.mark.parametrize("name", ["demo", "small", "paper"])
def test_the_shipped_jobs_load(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    sets = [f"pools.{pool}.model={tmp_path}" for pool in ("vlm", "llm")]
    job, recipe = load_job(ROOT / f"cluster/jobs/{name}.yaml", SHIPPED, sets)
    assert (job.recipe, job.output.path, len(recipe.nodes)) == ("oasis", f"runs/{name}", 14)
