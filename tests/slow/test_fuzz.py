"""Hostile input through real Ray: the benchmark in short, with every harm that it looks for."""

import pytest

from benchmarks.fuzz import MUST_BE_0, Found, fuzz
from benchmarks.hostile.rows import MAKERS

ROWS = 300


@pytest.fixture(scope="module")
def found(ray_cluster: object, tmp_path_factory: pytest.TempPathFactory) -> Found:
    return fuzz(tmp_path_factory.mktemp("fuzz"), ROWS, seed=1)


@pytest.mark.parametrize("harm", MUST_BE_0)
def test_hostile_rows_and_replies_do_no_harm(found: Found, harm: str) -> None:
    assert getattr(found, harm) == []


def test_every_hostile_row_ended_and_every_kind_was_there(found: Found) -> None:
    assert found.ends.total() == ROWS
    assert {kind for kind, _, _ in found.ends} == set(MAKERS)
    assert found.prompts > ROWS / 3
