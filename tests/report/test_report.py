"""Report of small data sets, counted in this process: of a run, and of other data sets.

`tests/ray/test_report_on_ray.py` covers the same as a Ray Data job.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.errors import JobError
from oasis_ray.explore import annotations as marks
from oasis_ray.explore.row_image import RowImages
from oasis_ray.report.apply import apply_here
from oasis_ray.report.build import make
from oasis_ray.report.collect import way
from oasis_ray.report.dataset import open_dataset
from oasis_ray.report.gallery import image_uri
from oasis_ray.report.parallel import apply_on_ray
from oasis_ray.report.statistics import DatasetStatistics, Statistics
from tests.support.checkout import ROOT
from tests.support.jobs import scripted, write_job
from tests.support.run_folders import RunFolder, accepted, caption, failed, rejected
from tests.support.shards import picture

RED = picture("red", (200, 100))
MOVE = {"node": "categorize", "route": "caption", "reason": "caption", "detail": "Kind: caption"}
ASKED = ("Describe the chart in detail.", "Count the red bars of the chart, please.", "What is written on the sign?")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of nine rows, of which every text, id and image is known."""
    folder = tmp_path_factory.mktemp("report")
    pools = scripted("oasis")
    for pool in pools.values():
        pool["model"] = str(ROOT / "benchmarks/models/llm")  # for its tokenizer
    made = RunFolder(folder / "run", write_job(folder, pools=pools))
    made.part(
        "one",
        *(
            accepted(f"a{at}", text=text, image=picture("red", (200, 100)), origin="web")
            for at, text in enumerate(ASKED)
        ),
        accepted("a3", text=ASKED[0], answer="I'm sorry, I can't see it.", image=picture("blue", kind="JPEG")),
    )
    moved = caption("c", text="图中有一个红色的圆形,旁边是一个蓝色的正方形。", image=picture("green"))
    moved.moves = [MOVE]
    made.part("two", moved)
    made.part("three", *(rejected(f"r{score}", value=score) for score in (1, 2, 3)), failed("f", origin="web"))
    for name, mark in (("a0", "good"), ("a1", "good"), ("r1", "good"), ("r2", "bad"), ("nowhere", "bad")):
        marks.append(made.path, name, mark, "ada")
    return made


@pytest.fixture(scope="module")
def statistics(run: RunFolder) -> DatasetStatistics:
    folder, _ = make([str(run.path)])
    assert folder == f"{run.path}/report"
    return Statistics.model_validate_json((run.path / "report/statistics.json").read_bytes()).subjects[0]


def test_rows_are_counted_by_outcome_and_node(statistics: DatasetStatistics) -> None:
    assert (statistics.rows, statistics.outcomes) == (9, {"accepted": 4, "captions": 1, "rejected": 3, "failed": 1})
    clarity = next(one for one in statistics.funnel if one.node == "clarity")
    assert clarity.left == {f"rejected: score_{score}": 1 for score in (1, 2, 3)}
    assert statistics.rates[0].model_dump() == {
        "say": "hook texts that are instructions", "rows": 7, "of": 8, "published": 0.499,
    }  # fmt: skip


def test_lengths_are_of_each_kind_of_text_and_unit(statistics: DatasetStatistics) -> None:
    found = {(one.text, one.unit): (one.rows, one.mean) for one in statistics.lengths}
    assert found["instruction", "words"] == (4, (5 + 8 + 6 + 5) / 4)
    assert found["instruction", "characters"] == (4, (29 + 40 + 28 + 29) / 4)
    assert found["captions", "words"][0] == 1
    assert {unit for _, unit in found} == {"tokens", "words", "characters"}


def test_languages_verbs_and_scores(statistics: DatasetStatistics) -> None:
    assert statistics.languages.sampled == {"instruction": 4, "response": 4, "captions": 1}
    assert [(one.language, one.rows) for one in statistics.languages.found if one.text == "captions"] == [("zh-cn", 1)]
    assert statistics.verbs is not None
    assert statistics.verbs.verbs[0].model_dump() == {
        "verb": "describe",
        "rows": 2,
        "nouns": [{"noun": "chart", "rows": 2}],
    }
    clarity = next(one for one in statistics.scores if one.axis == "clarity")
    assert (clarity.counts, clarity.mean) == ({1: 1, 2: 1, 3: 1, 5: 4}, 26 / 7)


def test_copies_refusals_pictures_and_origins(statistics: DatasetStatistics) -> None:
    found = {one.what: (one.rows, one.exact, one.near) for one in statistics.duplicates}
    assert found == {"instruction": (4, 1, 0), "response": (4, 2, 0), "captions": (1, 0, 0), "image": (5, 2, 0)}
    refused = [one for one in statistics.defects if one.kind == "refusal" and one.rows]
    assert [(one.text, one.of, one.examples) for one in refused] == [("response", 4, ["a3"])]
    assert statistics.pictures is not None
    assert (statistics.pictures.looked_at, statistics.pictures.formats) == (5, {"PNG": 4, "JPEG": 1})
    assert {one.origin: one.outcomes for one in statistics.origins} == {
        "web": {"accepted": 3, "failed": 1}, None: {"accepted": 1, "captions": 1, "rejected": 3},
    }  # fmt: skip


def test_marks_are_compared_with_outcomes(statistics: DatasetStatistics) -> None:
    assert statistics.marks is not None
    assert statistics.marks.model_dump() == {
        "marks": 4, "good": {"accepted": 2, "rejected": 1}, "bad": {"rejected": 1}, "kappa": 0.5,
    }  # fmt: skip


def test_the_cost_of_a_run_is_reported_by_node(statistics: DatasetStatistics) -> None:
    assert statistics.cost is not None
    assert {one.node: one.requests for one in statistics.cost.nodes} == {
        "hook": 9, "nonsense": 4, "hallucination": 4, "solvability": 4, "clarity": 7,
        "caption_language": 1, "caption_information": 1, "caption_coherence": 1,
    }  # fmt: skip


def test_several_data_sets_are_reported_together(run: RunFolder, tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "<image>\nAnswer the question."}, {"from": "gpt", "value": "No."}]
    other = tmp_path / "llava.json"
    other.write_text(json.dumps([{"id": "x", "image": "x.jpg", "conversations": turns}, {"id": "y"}]))
    (tmp_path / "exam.txt").write_text("Please do count the red bars of the chart, please!")
    folder, made = make([str(run.path), str(other)], str(tmp_path / "out"), benchmarks=[tmp_path / "exam.txt"])
    assert [(one.name, one.kind, one.rows) for one in made.subjects] == [
        ("run", "run", 9),
        ("llava.json", "data set", 2),
    ]
    assert made.subjects[1].outcomes == {"accepted": 1, "failed": 1}
    assert [one.notes for one in made.subjects] == [
        [], ["records without a question and an answer (`conversations` or `messages`): 1"]
    ]  # fmt: skip
    assert [one.model_dump() for one in made.subjects[0].overlaps] == [
        {"benchmark": "exam.txt", "text": "instruction", "rows": 1, "of": 4, "examples": ["a1"]}
    ]
    assert {path.name for path in Path(folder).iterdir()} == {"index.html", "statistics.json"}


def test_a_data_set_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"id": 1}')
    with pytest.raises(JobError, match=r"a\.json can't be read as JSON"):
        make([str(tmp_path / "a.json")], str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_command_counts_few_rows_without_ray(run: RunFolder, tmp_path: Path) -> None:
    code = "import sys; from oasis_ray.cli import app; app(sys.argv[1:], standalone_mode=False); print(*sys.modules)"
    words = [sys.executable, "-c", code, "report", str(run.path), "--out", str(tmp_path)]
    done = subprocess.run(
        words, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    *printed, modules = done.stdout.splitlines()
    assert printed == [
        "run: 9 rows: 4 accepted, 1 captions, 3 rejected, 1 failed",
        f"written to {tmp_path}: open index.html in a browser; statistics.json contains the numbers",
    ]
    assert {name for name in modules.split() if name.partition(".")[0] in ("ray", "transformers")} == set()


def items(path: Path, rows: int) -> Path:
    """Write a data set of `rows` rows, in the format given by the extension."""
    if path.suffix == ".parquet":
        path.mkdir()
        for name, some in (("a", rows - 900), ("b", 900)):
            pq.write_table(pa.table({"messages": [[]] * some}), path / f"{name}.parquet")
    else:
        made = [{"id": str(at)} for at in range(rows)]
        path.write_text(json.dumps(made) if path.suffix == ".json" else "\n".join(map(json.dumps, made)))
    return path


@pytest.mark.parametrize("name", ["a.parquet", "a.json", "a.jsonl"])
def test_more_than_2000_rows_are_counted_on_ray(name: str, tmp_path: Path) -> None:
    few, many = (items(tmp_path / f"{rows}-{name}", rows) for rows in (2000, 2001))
    assert [way(open_dataset(str(path))) for path in (few, many)] == [apply_here, apply_on_ray]


def test_rows_of_all_outcomes_of_a_run_are_counted_for_that(run: RunFolder) -> None:
    subject = open_dataset(str(run.path))
    assert [way(subject, here) for here in (9, 8)] == [apply_here, apply_on_ray]


@pytest.mark.parametrize("data", [None, b"", b"<svg onload=alert(1)>", picture()[:200], "text"])
def test_what_is_not_an_image_has_no_thumbnail(data: Any) -> None:
    assert image_uri(RowImages({}), {"image": data}) is None


def test_a_thumbnail_is_re_encoded() -> None:
    for image in (picture(), {"bytes": picture(), "path": None}):
        assert str(image_uri(RowImages({}), {"image": image})).startswith("data:image/webp;base64,")
