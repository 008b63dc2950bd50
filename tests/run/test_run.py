"""A whole run in this process, with scripted engines: every row ends once, with its reason, as a whole row.

That a run on Ray makes the same rows is held by tests/ray/test_run_on_ray.py.
"""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import JobError, RunError
from oasis_ray.output.audit import audit
from oasis_ray.output.manifest import read_manifest
from oasis_ray.pipeline.node import seed
from tests.support.checkout import ROOT
from tests.support.jobs import ENDS, REASONS, execute, rows_of, scripted, write_kinds
from tests.support.scripts import CAPTION
from tests.support.shards import picture, shard


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of 13 rows, each of its own kind."""
    folder = tmp_path_factory.mktemp("run")
    execute(write_kinds(folder))
    return folder / "run"


def test_every_row_ends_in_the_outcome_of_its_kind(done: Path) -> None:
    assert {outcome: {row["id"] for row in rows_of(done, outcome)} for outcome in ENDS} == ENDS


def test_a_row_that_is_lost_says_where_and_why(done: Path) -> None:
    lost = rows_of(done, "rejected") + rows_of(done, "failed")
    assert {row["id"]: (row["node"], row["reason"]) for row in lost} == REASONS


def test_an_accepted_row_is_a_whole_record(done: Path) -> None:
    row = rows_of(done, "accepted")[0]
    digests = {node["name"]: node["digest"] for node in read_manifest(str(done))["nodes"]}
    asked = ["hook", "categorize", "nonsense", "hallucination", "solvability", "clarity", "respond"]
    instruction, answer = "What about the good thing?", "The answer for good."
    good = {"score": 5, "reply": "Good. [[5]]"}
    assert [(step["node"], step["digest"], step["seed"]) for step in row.pop("lineage")] == [
        (name, digests[name], seed(7, "good", name, 0)) for name in asked
    ]
    assert row == {
        "id": "good",
        "image": {"bytes": picture(), "path": "good.png"},
        "conversations": [{"from": "human", "value": f"<image>\n{instruction}"}, {"from": "gpt", "value": answer}],
        "data_source": "oasis",
        "instruction": instruction,
        "response": answer,
        "scores": {"solvability": 5, "clarity": 5, "hallucination": 5, "nonsense": 5},
        "nodes": {
            "hook": {"text": "Nice. What about the good thing?", "truncated": False},
            "categorize": {"instruction": instruction, "reply": f"Kind: instruction\nInstruction: {instruction}"},
            "nonsense": good,
            "hallucination": good,
            "solvability": good,
            "clarity": good,
            "gate": {"total": 10},
            "respond": {"text": answer, "likelihood": None},
        },
        "scored_in_full": False,
        "image_sha256": "7a8f5d0d4a3b6f0d",
        "origin": None,
        "source": {"file": "a", "row_group": 0, "row": 0},
        "moves": [],
    } | {"image_sha256": row["image_sha256"]}
    assert len(row["image_sha256"]) == 64


def test_a_caption_is_paired_with_a_request_in_its_language(done: Path) -> None:
    row = rows_of(done, "captions")[0]
    phrases = (Path(SHIPPED.prompts) / "describe/en.txt").read_text().splitlines()
    assert row["instruction"] in phrases
    assert {key: row[key] for key in ("id", "data_source", "response", "scores", "conversations")} == {
        "id": "caption",
        "data_source": "oasis_caption",
        "response": CAPTION,
        "scores": {"language": 5, "information": 5, "coherence": 5},
        "conversations": [
            {"from": "human", "value": f"<image>\n{row['instruction']}"},
            {"from": "gpt", "value": CAPTION},
        ],
    }


def test_a_rejected_row_keeps_what_was_made_and_drops_its_image(done: Path) -> None:
    row = next(row for row in rows_of(done, "rejected") if row["id"] == "unclear")
    assert row["image"] is None
    assert row["nodes"]["clarity"] == {"score": 1, "reply": "Bad. [[1]]"}
    assert row["nodes"]["respond"] is None
    assert row["detail"] == "Bad. [[1]]"


def test_a_reply_that_cannot_be_read_is_kept(done: Path) -> None:
    row = next(row for row in rows_of(done, "failed") if row["id"] == "mute")
    assert (row["reason"], row["error"], row["nodes"]["clarity"]) == ("no_verdict", "No verdict from me.", None)


def test_the_audit_proves_the_run_from_its_files(done: Path) -> None:
    result = audit(str(done))
    assert (result.rows, result.faults, result.notes) == (13, [], [])
    assert result.outcomes == {outcome: len(ids) for outcome, ids in ENDS.items()}


def test_the_manifest_counts_what_the_parts_hold(done: Path) -> None:
    manifest = read_manifest(str(done))
    assert manifest["state"] == "done"
    assert manifest["rows"] == {outcome: len(ids) for outcome, ids in ENDS.items()}
    assert sum(reason["rows"] for reason in manifest["reasons"]) == 10
    assert manifest["cost"]["hook"]["requests"] == 12


def test_a_finished_run_is_not_computed_again(done: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in done.rglob("*.parquet")}
    manifest = execute(done.parent / "job.yaml")
    assert manifest["sessions"][-1]["rows"] == 0
    assert {path: path.stat().st_mtime_ns for path in done.rglob("*.parquet")} == before


def test_a_run_of_another_make_is_refused_with_what_changed(done: Path) -> None:
    with pytest.raises(JobError) as error:
        execute(done.parent / "job.yaml", "nodes.clarity.with.accept=[5]", "seed=8")
    assert error.value.problems == (
        f"{done} holds a run that differs from this job: node 'clarity': with.accept was [3, 4, 5] and is [5]",
        f"{done} holds a run that differs from this job: seed was 7 and is 8",
        (
            "give this run its own folder (--set output.path=…), remove this one, or resume it with the changes "
            "(--accept-changes)"
        ),
    )


def test_rows_that_are_left_are_done_when_the_job_runs_again(done: Path) -> None:
    part = next((done / "failed").glob("*.parquet"))
    lost, kept = pq.read_table(part), {path.name for path in done.rglob("*.parquet")}
    part.unlink()
    manifest = execute(done.parent / "job.yaml")
    assert manifest["sessions"][-1]["rows"] == lost.num_rows
    assert audit(str(done)).faults == []
    assert {path.name for path in done.rglob("*.parquet")} > kept - {part.name}


def test_scoring_in_full_changes_no_outcome_and_fills_every_axis(done: Path, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    execute(done.parent / "job.yaml", f"output.path={folder}", "score_in_full=1.0")
    ends = {row["id"]: outcome for outcome in ENDS for row in rows_of(folder, outcome)}
    assert ends == {row["id"]: outcome for outcome in ENDS for row in rows_of(done, outcome)}
    garbled = next(row for row in rows_of(folder, "rejected") if row["id"] == "garbled")
    scores = {axis: garbled["nodes"][axis]["score"] for axis in ("nonsense", "hallucination", "solvability", "clarity")}
    assert scores == {"nonsense": 1, "hallucination": 5, "solvability": 5, "clarity": 5}
    assert (garbled["node"], garbled["scored_in_full"], garbled["nodes"]["respond"]) == ("nonsense", True, None)


def test_the_response_filters_of_the_ablation_can_be_switched_on(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    shard(tmp_path / "shards/a.parquet", [{"id": "good", "bytes": picture()}])
    axes = ("helpful", "truthful", "following")
    execute(job_file(nodes={axis: {"enabled": True} for axis in axes}))
    failed = rows_of(tmp_path / "run", "failed")
    # The script has no verdict for these axes, so the first that is asked shows that it was.
    assert [(row["node"], row["reason"], row["error"]) for row in failed] == [
        ("helpful", "no_verdict", "The answer for good.")
    ]


def test_a_recipe_that_asks_no_model_runs_without_engines(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    text = "There are words in this row, and they are the answer too."
    pq.write_table(pa.table({"id": ["a", "b"], "text": [text, ""]}), tmp_path / "texts.parquet")
    given = {"path": str(tmp_path / "texts.parquet"), "id": "id", "image": None, "columns": ["text"]}
    path = job_file(recipe=str(ROOT / "benchmarks/scale/rows.yaml"), input=given, pools={})
    assert execute(path)["rows"] == {"accepted": 1, "rejected": 1, "failed": 0}
    (row,) = rows_of(tmp_path / "run", "accepted")
    assert (row["id"], row["instruction"], row["lineage"]) == ("a", text, [])
    assert audit(str(tmp_path / "run")).faults == []


def test_an_engine_that_fails_stops_the_run_and_keeps_what_was_done(
    tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    shard(tmp_path / "shards/a.parquet", [{"id": "good", "bytes": picture()}])
    with pytest.raises(RunError) as error:
        execute(job_file(pools=scripted("broken")))
    assert str(error.value) == "pool 'vlm': OSError: the cable is out"
    assert read_manifest(str(tmp_path / "run"))["state"] == "stopped"
    # Nothing has ended, so there is nothing that another make of the run could contradict.
    assert execute(job_file(seed=9))["rows"] == {"accepted": 1, "captions": 0, "rejected": 0, "failed": 0}
