"""Two runs side by side: what changed, who ended otherwise, and what is told where they can't be compared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oasis_ray.cli import app
from oasis_ray.errors import JobError
from oasis_ray.explore.comparison import Comparison, Example, Move, Place, Shift, Side
from oasis_ray.recipe.row import Row
from tests.support.jobs import write_job
from tests.support.run_folders import RunFolder, accepted, caption, failed, rejected

Write = Callable[..., Path]
CLARITY, SENSE = Place("rejected", "clarity", "score_1"), Place("rejected", "nonsense", "score_1")
BROKEN, ACCEPTED = Place("failed", "admit", "image_broken"), Place("accepted")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a run folder of these rows."""

    def made(name: str, *rows: Row, manifest: dict[str, Any] | None = None) -> Path:
        run = RunFolder(tmp_path / name, write_job(tmp_path))
        for place, row in enumerate(rows):
            run.part(str(place), row)
        run.manifest(**(manifest or {}))
        return run.path

    return made


@pytest.fixture
def runs(write: Write) -> tuple[str, str]:
    """Two runs of which the second is milder: four rows of six moved, and each has one that the other has not."""
    before = write(
        "before", accepted("same"), rejected("up1"), rejected("up2"), rejected("elsewhere"),
        accepted("down", scores={"clarity": 3}), caption("c"), failed("gone"),
    )  # fmt: skip
    after = write(
        "after", accepted("same"), accepted("up1", text="Now what?"), accepted("up2"),
        rejected("elsewhere", "nonsense"),
        failed("down"), caption("c"), failed("new"),
    )  # fmt: skip
    return str(before), str(after)


def test_rows_are_counted_by_outcome_before_and_after(runs: tuple[str, str]) -> None:
    compared = Comparison(*runs)
    assert compared.outcomes() == {
        ("accepted", "accepted"): 1, ("accepted", "failed"): 1, ("captions", "captions"): 1,
        ("rejected", "accepted"): 2, ("rejected", "rejected"): 1, ("failed", None): 1, (None, "failed"): 1,
    }  # fmt: skip
    assert (compared.rows, compared.alone, compared.flipped, compared.moved) == (6, [1, 1], 3, 4)
    assert compared.moves() == [
        Move(CLARITY, ACCEPTED, 2), Move(ACCEPTED, BROKEN, 1), Move(CLARITY, SENSE, 1)
    ]  # fmt: skip


def test_scores_are_compared_where_a_row_was_judged_in_both_runs(runs: tuple[str, str]) -> None:
    same = ("caption_coherence", "caption_information", "caption_language", "hallucination", "nonsense", "solvability")
    assert Comparison(*runs).shifts() == sorted(
        [Shift("clarity", 3, 7 / 3, 5.0, 2, 0), *(Shift(axis, 1, 5.0, 5.0, 0, 0) for axis in same)],
        key=lambda shift: shift.axis,
    )


def test_examples_show_every_move_once_before_any_twice(runs: tuple[str, str]) -> None:
    examples = list(Comparison(*runs).examples(9))
    assert [example.id for example in examples] == ["up1", "down", "elsewhere", "up2"]
    assert examples[0] == Example("up1", Side(CLARITY, "What is it?", "score_1"), Side(ACCEPTED, "Now what?", ""))
    assert examples[1].after == Side(BROKEN, "What is it?", "it can't be decoded")
    assert [example.id for example in Comparison(*runs).examples(1)] == ["up1"]


def test_every_row_that_ended_otherwise_is_written(runs: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "what's new.json"
    Comparison(*runs).write(str(file))
    written = json.loads(file.read_text())
    ended = {row["id"]: [row[side] and row[side]["outcome"] for side in ("before", "after")] for row in written}
    assert ended == {
        "down": ["accepted", "failed"], "elsewhere": ["rejected", "rejected"], "gone": ["failed", None],
        "new": [None, "failed"], "up1": ["rejected", "accepted"], "up2": ["rejected", "accepted"],
    }  # fmt: skip
    (one,) = (row["before"] for row in written if row["id"] == "elsewhere")
    assert one == {
        "outcome": "rejected", "node": "clarity", "reason": "score_1", "said": "What is it?",
        "scores": {axis: 1 if axis == "clarity" else None for axis in one["scores"]},
    }  # fmt: skip


def test_a_run_is_the_same_as_itself(runs: tuple[str, str], tmp_path: Path) -> None:
    compared = Comparison(runs[0], runs[0])
    assert (compared.changes, compared.flipped, compared.moved, compared.moves()) == ([], 0, 0, [])
    assert list(compared.examples(5)) == []
    compared.write(str(tmp_path / "none.json"))
    assert json.loads((tmp_path / "none.json").read_text()) == []


def test_what_cannot_be_compared_is_told(runs: tuple[str, str], write: Write, tmp_path: Path) -> None:
    other = write("other", accepted("x"))
    twice = write("twice", accepted("same"), rejected("same"))
    shards = tmp_path / "shards"
    told = {
        (runs[0], "nowhere"): "nowhere is not a run folder: it has no run.json",
        (
            "s3://bucket/run",
            runs[0],
        ): "s3://bucket/run is not on this machine; copy the run folder here and name the copy",
        (runs[0], str(other)): f"no row is in both runs: {runs[0]} has 7 rows over {shards}; "
        f"{other} has 1 rows over {shards}; compare runs over the same input",
        (runs[0], str(twice)): f"{twice}: 1 ids ended more than once; `oasis-ray audit` says which",
    }
    for pair, expected in told.items():
        with pytest.raises(JobError) as error:
            Comparison(*pair)
        assert error.value.problems == (expected,)
    with pytest.raises(JobError, match=r"--json .* can't be written"):
        Comparison(*runs).write(str(tmp_path / "no/such/folder.json"))


def test_a_part_that_cannot_be_read_is_told(runs: tuple[str, str]) -> None:
    (Path(runs[1]) / "failed/part-4.parquet").write_bytes(b"junk")
    compared = Comparison(*runs)
    assert compared.outcomes()["accepted", None] == 1
    (note,) = compared.notes
    assert note.startswith(f"left out, can't be read: {runs[1]}/failed/part-4.parquet: ")


def test_the_command_prints_what_changed_and_who_moved(write: Write, tmp_path: Path) -> None:
    seeds = {"seed": 1, "prompts": {"clarity": "Be strict."}}, {"seed": 2, "prompts": {"clarity": "Be \x1b[2Jmild."}}
    before = write(
        "before", rejected("r", text="\x1b[31mred"), failed("a", "\x1b[2Jx"), accepted("s"), manifest=seeds[0]
    )
    after = write(
        "after", accepted("r", text="\x1b[31mred"), accepted("a"), accepted("b"), accepted("s"), manifest=seeds[1]
    )
    done = CliRunner().invoke(app, ["diff", str(before), str(after), "--show", "2", "--json", str(tmp_path / "f.json")])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[:8] == [
        "what changed:",
        "  - prompt 'clarity':",
        "      --- clarity (then)",
        "      +++ clarity (now)",
        "      @@ -1 +1 @@",
        "      -Be strict.",
        "      +Be \\x1b[2Jmild.",
        "  - seed was 1 and is 2",
    ]
    assert f"3 rows are in both runs, 1 in {after} alone\n" in done.output
    assert "2 rows (66.7%) have another outcome; 0 more left at another node or for another reason\n" in done.output
    assert "   1 │ rejected at clarity: score_1 │ accepted\n" in done.output
    assert "   1 │ failed at admit: \\x1b[2Jx    │ accepted\n" in done.output
    shown = ["r", "  \\x1b[31mred", "  before: rejected at clarity: score_1", "    score_1", "  after: accepted", ""]
    assert done.output.splitlines()[-7:] == [*shown, f"every row that ended otherwise is in {tmp_path}/f.json"]
    assert "\x1b" not in done.output
