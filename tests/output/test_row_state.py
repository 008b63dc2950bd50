"""The state of a row that waits for a later phase: written to a part, read again, and put into a fresh row."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from oasis_ray.content.stages import categorize, hook

from oasis_ray.input.reader import states
from oasis_ray.output.part_writer import write_part
from oasis_ray.output.row_state import resume, state, waiting_columns
from oasis_ray.recipe.row import Row
from oasis_ray.types import REJECTED, Divert
from tests.support.records import PLACE, RECIPE, ended

MOVE = {"node": "sort", "route": "caption", "reason": "caption", "detail": "Kind: caption"}
VALUES = {"hook": hook.Out("A cat", truncated=True), "sort": categorize.Out("What is it?", "Kind: instruction")}


def resumed(folder: Path, row: Row, *without: str) -> Row:
    """The row as the next phase has it; `without` columns, as an earlier version wrote its part."""
    table = pa.Table.from_pylist([state(row, RECIPE)], waiting_columns(RECIPE)).drop_columns([*without])
    write_part(table, str(folder), "part-1.parquet")
    fresh = Row(row.id, PLACE, row.image, None, source=row.source, origin=row.origin, since=row.since)
    resume(fresh, states([str(folder / "part-1.parquet")]).column("state")[0].as_py(), RECIPE)
    return fresh


def waiting(**keys: Any) -> Row:
    return ended(**{"at": "judge", "values": VALUES} | keys)


@pytest.mark.parametrize(
    "row",
    [
        waiting(),
        waiting(route="caption", moves=[MOVE], at="tidy"),
        waiting(route="caption"),  # by a node's `to`
        waiting(first=("judge", Divert(REJECTED, "score_1", "Bad. [[1]]"))),
    ],
)
def test_a_row_that_waits_comes_back_as_it_was(row: Row, tmp_path: Path) -> None:
    assert resumed(tmp_path, row) == row


def test_a_part_of_an_earlier_version_has_no_moves_and_the_route_implies_them(tmp_path: Path) -> None:
    implied = [MOVE | {"reason": "", "detail": ""}]
    assert resumed(tmp_path, waiting(route="caption", moves=[MOVE]), "moves").moves == implied
    assert resumed(tmp_path, waiting(), "moves").moves == []
