"""Recipes on Ray: one with three pools and columns of the input, and one without input. All: tests/slow/."""

from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.on_ray import run_twice
from tests.support.recipe_rows import ENDS


@pytest.mark.parametrize("recipe", ["vl_thinking", "magpie"])
def test_a_recipe_makes_on_ray_the_rows_of_a_run_in_this_process(
    recipe: str, ray_cluster: Cluster, tmp_path: Path
) -> None:
    found = run_twice(tmp_path, recipe)
    rows, _, faults = found["ray"]
    assert found["ray"] == found["local"]
    assert faults == []
    assert {row["id"]: outcome for outcome in rows for row in rows[outcome]} == {
        name: outcome for name, (outcome, *_) in ENDS[recipe].items()
    }
