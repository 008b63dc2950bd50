"""Keys of jobs and recipes that were renamed: the old name is still read, with one note for each file and key."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import load_job
from oasis_ray.recipe.spec import RateSpec
from tests.support.problems import RECIPE, problems

LATENCY = ({"token_s_per_reply": 0.5, "characters_per_token": 3.0}, {"token_s_a_reply": 0.5, "characters_a_token": 3.0})
SIMULATED = {"model": "some/model", "backend": "simulated", "script": "json:loads"}
Write = Callable[..., Path]


def pools(types: str, latency: dict[str, float]) -> dict[str, Any]:
    pool = SIMULATED | {types: {"H100": {"replicas": 2}}, "latency": latency}
    return {"vlm": pool, "llm": pool}


def test_old_and_new_keys_give_the_same_job_and_recipe(
    job_file: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipes = {"label": tmp_path / "new.yaml", "say": tmp_path / "old.yaml"}
    for key, path in recipes.items():
        path.write_text(RECIPE.read_text(encoding="utf-8").replace("{label:", f"{{{key}:"), encoding="utf-8")
    keys = {"executor": "ray", "recipe": str(recipes["label"])}
    new = load_job(job_file(**keys, pools=pools("gpu_types", LATENCY[0])), SHIPPED)
    assert caplog.record_tuples == []

    path = job_file(**keys | {"recipe": str(recipes["say"])}, pools=pools("types", LATENCY[1]))
    for _ in range(2):
        job, recipe = load_job(path, SHIPPED)
        assert job.pools == new[0].pools
        assert job.pools["vlm"].latency.token_s_per_reply == 0.5
        assert recipe.rates == new[1].rates
    assert sorted(message for _, level, message in caplog.record_tuples if level == logging.WARNING) == [
        f"{path}: the key `characters_a_token` is deprecated; use `characters_per_token`",
        f"{path}: the key `token_s_a_reply` is deprecated; use `token_s_per_reply`",
        f"{path}: the key `types` is deprecated; use `gpu_types`",
        f"{recipes['say']}: the key `say` is deprecated; use `label`",
    ]


def test_a_problem_below_an_old_key_is_explained(job_file: Write) -> None:
    pool = SIMULATED | {"types": {"H100": {"replica": 2}}}
    assert problems(job_file(executor="ray", pools={"vlm": pool, "llm": pool})) == [
        f"job.yaml: pools.{name}.types.H100.replica: unknown key (…). Did you mean 'replicas'?"
        for name in ("llm", "vlm")
    ]


def test_an_old_key_beside_its_new_name_is_rejected(job_file: Write) -> None:
    pool = SIMULATED | {"latency": LATENCY[0] | LATENCY[1]}
    assert problems(job_file(executor="ray", pools={"vlm": pool, "llm": SIMULATED})) == [
        f"job.yaml: pools.vlm.latency.{old}: unknown key (…). Did you mean '{new}'?"
        for new, old in sorted(zip(*LATENCY, strict=True))
    ]


def test_run_json_keeps_the_old_key_of_a_rate() -> None:
    rate = {"say": "a rate", "from": "hook", "to": "gate", "published": 0.5}
    assert RateSpec.model_validate(rate).model_dump(mode="json", by_alias=True) == rate
