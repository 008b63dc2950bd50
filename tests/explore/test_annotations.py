"""Annotations: the last mark of a person counts, whatever else the file contains."""

import json
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.errors import JobError
from oasis_ray.explore import annotations as marks


def line(name: str, mark: str | None, who: str = "ada", **keys: Any) -> str:
    return json.dumps({"id": name, "mark": mark, "who": who, "at": "2026-11-21T10:00:00+00:00", **keys}) + "\n"


@pytest.mark.parametrize(
    ("text", "expected", "skipped"),
    [
        ("", {}, 0),
        (line("a", "good"), {("a", "ada"): "good"}, 0),
        (line("a", "good") + line("a", "bad"), {("a", "ada"): "bad"}, 0),
        (line("a", "good") + line("a", None), {}, 0),
        (line("a", None), {}, 0),
        (line("a", "good") + line("a", "bad", "bo"), {("a", "ada"): "good", ("a", "bo"): "bad"}, 0),
        (line("a", "good", later="more"), {("a", "ada"): "good"}, 0),
        (line("a", "good") + line("b", "bad")[:-9], {("a", "ada"): "good"}, 1),
        (line("a", "fine") + '[1]\nnull\n{"id": 1}\n\x00\n' + line("b", "bad"), {("b", "ada"): "bad"}, 5),
        ("\n\n" + line("é\u2028/../'", "good"), {("é\u2028/../'", "ada"): "good"}, 0),
    ],
)
def test_the_last_mark_of_a_person_about_a_row_counts(
    tmp_path: Path, text: str, expected: dict[tuple[str, str], str], skipped: int
) -> None:
    (tmp_path / "marks.jsonl").write_text(text)
    found = marks.read(tmp_path)
    assert ({key: mark.mark for key, mark in found.latest.items()}, found.skipped) == (expected, skipped)


def test_a_run_without_marks_has_none(tmp_path: Path) -> None:
    assert marks.read(tmp_path) == marks.Marks()


def test_a_mark_after_a_line_that_was_cut_off_stands_on_its_own(tmp_path: Path) -> None:
    (tmp_path / "marks.jsonl").write_text(line("a", "good") + '{"id": "b", "ma')
    made = marks.append(tmp_path, "c\n", "bad", "bo")
    assert marks.read(tmp_path).latest[("c\n", "bo")] == made
    assert marks.read(tmp_path).skipped == 1
    assert (tmp_path / "marks.jsonl").read_text().count("\n") == 3


def test_marks_are_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("kept")
    (tmp_path / "marks.jsonl").symlink_to(tmp_path / "other")
    with pytest.raises(JobError, match=r"marks\.jsonl can't be written"):
        marks.append(tmp_path, "a", "good", "ada")
    assert (tmp_path / "other").read_text() == "kept"
