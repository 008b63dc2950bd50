"""The recipes of `make demo-recipes` on real vLLM, in small: most of what they make is right, and filters help."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.recipes.__main__ import run_recipe
from benchmarks.recipes.engines import SharedEngines
from benchmarks.recipes.jobs import RECIPES

ROWS = 24
# Of so few rows an interval is wide: `make bench-recipes` measures more of them.
AT_LEAST = dict.fromkeys(RECIPES, 0.6)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """The figures of each recipe; a run whose audit finds a fault ends with an error."""
    engines, folder = SharedEngines(), tmp_path_factory.mktemp("recipes")
    try:
        yield {recipe: run_recipe(Path(folder) / recipe, recipe, ROWS, engines) for recipe in RECIPES}
    finally:
        engines.end()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_makes_records_that_are_mostly_right(results: dict[str, dict[str, Any]], recipe: str) -> None:
    rows, shares = results[recipe]["rows"], results[recipe]["shares"]
    assert sum(rows.values()) == ROWS
    assert rows["failed"] <= 2, rows
    assert shares["right_after"].whole > 0
    assert shares["right_after"].value >= AT_LEAST[recipe], shares


@pytest.mark.parametrize(
    "recipe", ["oasis", "oasis_n", "oasis_repair", "caption_conversation", "caption_hallucination"]
)
def test_what_passes_the_filters_is_more_often_right(results: dict[str, dict[str, Any]], recipe: str) -> None:
    shares = results[recipe]["shares"]
    assert shares["right_after"].value > shares["right_before"].value
