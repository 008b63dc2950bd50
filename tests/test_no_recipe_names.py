"""The framework knows no recipe: neither its name, nor the routes and records that it names."""

import re

import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import load_recipe
from oasis_ray.types import ACCEPTED, FAILED, MAIN, REJECTED
from tests.support.checkout import ROOT

OURS = {MAIN, ACCEPTED, REJECTED, FAILED}
FILES = [
    path
    for path in sorted((ROOT / "oasis_ray").rglob("*"))
    if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
]


def names() -> set[str]:
    """The names of all shipped recipes, and of the routes and records that they declare."""
    found: set[str] = set()
    for file in SHIPPED.recipes.glob("*.yaml"):
        recipe = load_recipe(file.stem, SHIPPED)
        routes = {route for node in recipe.nodes for route in (node.route, *node.exits.values(), node.to) if route}
        found |= {recipe.name, *recipe.records, *routes}
    return found - OURS


def test_the_shipped_recipes_have_names_to_look_for() -> None:
    assert {"oasis", "captions", "caption"} <= names()


@pytest.mark.parametrize("name", sorted(names()))
def test_no_file_of_the_framework_contains_the_name(name: str) -> None:
    # `oasis_ray`, `oasis-ray` and names of our processes and metrics begin with the name of the program.
    pattern = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.IGNORECASE)
    found = [f"{file.relative_to(ROOT)}: {match[0]}" for file in FILES for match in pattern.finditer(file.read_text())]
    assert found == []
