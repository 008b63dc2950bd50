"""Recipes that run in this process and on Ray."""

from pathlib import Path
from typing import Any

from oasis_ray.output.audit import audit
from oasis_ray.output.manifest import read_manifest
from tests.support.jobs import execute, made
from tests.support.recipe_jobs import write_recipe_job

# What the manifest of a run says that is the same wherever it ran.
SAME = ("state", "nodes", "pools", "prompts", "input", "rows", "reasons")


def run_twice(folder: Path, recipe: str) -> dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]]:
    """Run a recipe in this process and on Ray: by executor its rows, what the manifest says of them, and the faults."""
    job, found = write_recipe_job(folder, recipe), {}
    for executor in ("local", "ray"):
        run = folder / executor
        execute(job, f"output.path={run}", f"executor={executor}")
        manifest = read_manifest(str(run))
        assert [session["executor"] for session in manifest["sessions"]] == [executor]
        found[executor] = made(run), {key: manifest[key] for key in SAME}, audit(str(run)).faults
    return found
