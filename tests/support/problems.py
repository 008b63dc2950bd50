"""What is wrong with a job file, in short."""

import re
from pathlib import Path

import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import JobError
from oasis_ray.job.load import load_job

RECIPE = SHIPPED.recipes / "oasis.yaml"
KNOWN = re.compile(r" \((known|shipped|it has): [^)]*\)")


def problems(path: Path, *sets: str) -> list[str]:
    """What is said, with short names of the files, and without the lists of all that was possible."""
    with pytest.raises(JobError) as error:
        load_job(path, SHIPPED, sets)
    said = [text.replace(str(path), "job.yaml").replace(str(RECIPE), "oasis.yaml") for text in error.value.problems]
    return [KNOWN.sub(" (…)", text) for text in said]
