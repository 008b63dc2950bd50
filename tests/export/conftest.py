"""Fixtures of the tests of exports."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.recipe.row import Row
from tests.support.ended_rows import write_run


@pytest.fixture
def make(tmp_path: Path, job_file: Callable[..., Path]) -> Callable[..., Path]:
    """Writes rows as a run that is done, of the job's recipe or of a recipe file."""

    def write(rows: list[Row], name: str = "run", recipe: Path | str = "oasis", **options: Any) -> Path:
        return write_run(tmp_path / name, job_file(recipe=str(recipe)), rows, **options)

    return write
