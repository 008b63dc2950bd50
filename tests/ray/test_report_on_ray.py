"""The report as a job of Ray Data: its figures are those of the report that is made in one process."""

import json
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.errors import JobError
from oasis_ray.explore import annotations as marks
from oasis_ray.report.build import make
from tests.support.checkout import ROOT
from tests.support.jobs import write_job
from tests.support.run_folders import RunFolder, accepted, caption, failed, rejected
from tests.support.shards import picture

ASKED = (
    "Describe the chart in detail.",
    "Count the red bars, please.",
    "Write a story about it.",
    "图中有什么颜色的圆形?",
)
PARTS = 5


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of several parts of each outcome, with copies of texts and pictures in different parts, and many ties."""
    made = RunFolder(tmp_path / "run", write_job(tmp_path))
    for part in range(PARTS):
        image = picture(("red", "blue", "green")[part % 3], kind=("PNG", "JPEG")[part % 2])
        asked, other = ASKED[part % 4], ASKED[(part + 1) % 4]
        made.part(
            str(part),
            accepted(f"a{part}", text=asked, answer=f"{other} In part {part}.", image=image, origin="ab"[part % 2]),
            accepted(f"b{part}", text=other.upper(), answer=asked, image=image, scores={"clarity": 1 + part}),
            caption(f"c{part}", text=f"A square on a {('red', 'blue')[part % 2]} ground.", image=picture("green")),
            rejected(f"r{part}", ("clarity", "nonsense")[part % 2], 1 + part % 3, text=asked),
            failed(f"f{part}", ("image_broken", "image_truncated")[part % 2]),
        )  # fmt: skip
    for name, mark in (("a0", "good"), ("c1", "good"), ("r1", "bad"), ("r2", "good"), ("b3", "bad")):
        marks.append(made.path, name, mark, "ada")
    return made


def figures(folder: Path, run: Path, **keys: Any) -> dict[str, Any]:
    """What statistics.json says, but for when it was made."""
    make([str(run)], str(folder), tokenizer=str(ROOT / "benchmarks/models/llm"), **keys)
    told: dict[str, Any] = json.loads((folder / "statistics.json").read_bytes())
    return {**told, "made": None}


def test_the_figures_are_the_same_on_ray_and_in_one_process(run: RunFolder, tmp_path: Path, ray_cluster: Any) -> None:
    exam = tmp_path / "exam.txt"
    exam.write_text("Describe the chart in detail. In part 4. " * 2)
    here = figures(tmp_path / "here", run.path, benchmarks=[exam])
    on_ray = figures(tmp_path / "on-ray", run.path, benchmarks=[exam], rows_here=0)
    assert [subject["rows"] for subject in here["subjects"]] == [5 * PARTS]
    assert on_ray == here


def test_what_cannot_be_read_on_ray_is_told_in_plain_words(tmp_path: Path, ray_cluster: Any) -> None:
    (tmp_path / "a.json").write_text('[{"id": 1}, {"id": 2}, {')
    with pytest.raises(JobError, match=r"a\.json can't be read as JSON"):
        make([str(tmp_path / "a.json")], str(tmp_path / "out"), rows_here=0)
