"""What a recipe says about its method is kept with a run, for the cards of data sets, and changes no row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import load_job
from oasis_ray.output.manifest import describe, node_digests
from oasis_ray.output.manifest_diff import changes

JobFile = Callable[..., Path]
TEXTS = {"about": "Texts of forms.\nAnd more.", "cite": "@misc{forms,\n  title = {Forms}\n}\n"}


def manifest(folder: Path, job_file: JobFile, **texts: str) -> dict[str, Any]:
    """Return the manifest of a run of the shipped recipe with only these texts about it."""
    recipe = yaml.safe_load((SHIPPED.recipes / "oasis.yaml").read_text(encoding="utf-8"))
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({key: recipe[key] for key in recipe if key not in TEXTS} | texts), encoding="utf-8")
    job, bound = load_job(job_file(recipe=str(path)), SHIPPED)
    return describe(job, bound, node_digests(job, bound), 0)


def test_the_manifest_has_the_texts_of_the_recipe(tmp_path: Path, job_file: JobFile) -> None:
    made = [manifest(tmp_path, job_file, **texts) for texts in (TEXTS, {})]
    assert [{key: one[key] for key in TEXTS} for one in made] == [TEXTS, {"about": "", "cite": ""}]


def test_other_texts_are_no_other_run(tmp_path: Path, job_file: JobFile) -> None:
    old, new = manifest(tmp_path, job_file), manifest(tmp_path, job_file, **TEXTS)
    assert {key: value for key, value in new.items() if key not in TEXTS} == {
        key: value for key, value in old.items() if key not in TEXTS
    }
    assert changes(old, new) == []
