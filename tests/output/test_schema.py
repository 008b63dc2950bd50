"""Schemas of a run's parts, and the records that rows become."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from oasis_ray.content.stages import categorize, clean, hook, pair

from oasis_ray.cli import SHIPPED
from oasis_ray.input.columns import ADDRESS, IMAGE
from oasis_ray.job.load import load_job
from oasis_ray.output.part_writer import unpack, write_part
from oasis_ray.output.record import batch, record
from oasis_ray.output.schema import ELEMENT_STEP, MOVE, STEP, TURN, columns
from oasis_ray.recipe.row import Row, Step
from oasis_ray.stage.signature import arrow
from oasis_ray.types import ACCEPTED, FAILED, REJECTED
from tests.support.checkout import ROOT
from tests.support.records import PICTURE, PLACE, RECIPE, STEPS, ended

WRITTEN = {
    "hook": pa.struct({"text": pa.string(), "truncated": pa.bool_()}),
    "sort": pa.struct({"instruction": pa.string(), "reply": pa.string()}),
    "judge": pa.struct({"score": pa.int64(), "reply": pa.string()}),
    "answer": pa.struct({"text": pa.string(), "likelihood": pa.float64()}),
    "tidy": pa.struct({"text": pa.string(), "removed": pa.float64()}),
    "pair": pa.struct({"instruction": pa.string()}),
}
RECORD = {
    "conversations": pa.list_(TURN), "data_source": pa.string(), "instruction": pa.string(), "response": pa.string(),
    "scores": pa.struct({"sense": pa.int64()}),
}  # fmt: skip
LOST = {"node": pa.string(), "reason": pa.string()}


def trace(*names: str) -> dict[str, pa.DataType]:
    """The columns that trace a row, with the outputs of these nodes."""
    return {
        "nodes": pa.struct({name: WRITTEN[name] for name in names}),
        "lineage": pa.list_(STEP), "scored_in_full": pa.bool_(), "image_sha256": pa.string(),
        "origin": pa.string(), "source": ADDRESS, "moves": pa.list_(MOVE),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (ACCEPTED, RECORD | trace("hook", "sort", "judge", "answer")),
        (REJECTED, LOST | {"detail": pa.string()} | trace(*WRITTEN)),
        (FAILED, LOST | {"error": pa.string()} | trace(*WRITTEN)),
    ],
)
def test_an_outcome_has_its_columns(outcome: str, expected: dict[str, pa.DataType]) -> None:
    assert columns(RECIPE, outcome) == pa.schema({"id": pa.string(), "image": IMAGE, **expected})


@pytest.mark.parametrize("outcome", RECIPE.outcomes)
def test_parts_have_the_columns_that_they_had_in_version_1_and_new_ones_after_them(outcome: str) -> None:
    run = ROOT / "tests/fixtures/run_of_version_1"
    _, recipe = load_job(run / "job.yaml", SHIPPED)
    (part,) = (run / "run" / outcome).glob("part-*.parquet")
    old, new = pq.read_schema(part), columns(recipe, outcome)
    assert pa.schema(list(new)[: len(old)]) == old
    assert new.names[len(old) :] == ["moves"]


def test_a_step_has_the_columns_of_the_lineage() -> None:
    assert [*STEPS[0], "element"] == [*STEP.names, "element"] == [field.name for field in fields(Step)]
    assert ELEMENT_STEP.names == [field.name for field in fields(Step)]  # of recipes with `for_each`


TRACE = {
    "id": "r",
    "image": PICTURE,
    "lineage": STEPS,
    "scored_in_full": False,
    "image_sha256": "0" * 64,
    "origin": "a crawl",
}
TRACE |= {"source": PLACE, "moves": []}


def test_an_accepted_row_becomes_a_record() -> None:
    assert record(ended(), RECIPE, keep_images=False) == {
        **TRACE,
        "conversations": [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A cat."}],
        "data_source": "a",
        "instruction": "What is it?",
        "response": "A cat.",
        "scores": {"sense": 5},
        "nodes": {
            "hook": {"text": "What is it?", "truncated": False},
            "sort": {"instruction": "What is it?", "reply": "Kind: instruction"},
            "judge": {"score": 5, "reply": "[[5]]"},
            "answer": {"text": "A cat.", "likelihood": None},
        },
    }


def test_a_caption_becomes_a_record_of_its_own_kind() -> None:
    values = {
        "hook": hook.Out("A cat", truncated=True),
        "tidy": clean.Out("A cat.", 0.1),
        "pair": pair.Out("Describe."),
    }
    move = {"node": "sort", "route": "caption", "reason": "caption", "detail": "Kind: caption"}
    row = record(ended(route="caption", moves=[move], values=values), RECIPE, keep_images=False)
    assert row == {
        **TRACE,
        "moves": [move],
        "conversations": [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": "A cat."}],
        "data_source": "b",
        "instruction": "Describe.",
        "response": "A cat.",
        "scores": {},
        "nodes": {
            "hook": {"text": "A cat", "truncated": True},
            "tidy": {"text": "A cat.", "removed": 0.1},
            "pair": {"instruction": "Describe."},
        },
    }


@pytest.mark.parametrize(("route", "column"), [(REJECTED, "detail"), (FAILED, "error")])
@pytest.mark.parametrize("keep", [True, False])
def test_a_lost_row_keeps_its_reason_and_on_request_its_image(route: str, column: str, keep: bool) -> None:
    row = ended(
        route=route, node="sort", reason="no_kind", detail="Hm.", in_full=True, values={"hook": hook.Out("?", False)}
    )
    assert record(row, RECIPE, keep_images=keep) == {
        **TRACE,
        "image": PICTURE if keep else None,
        "scored_in_full": True,
        "nodes": {"hook": {"text": "?", "truncated": False}},
        "node": "sort",
        "reason": "no_kind",
        column: "Hm.",
    }


@pytest.mark.parametrize(
    "text", ["<image>What is it?", "What is it?\n<image>", "<image><image> What is it?", "<im<image>age>What is it?"]
)
def test_a_conversation_shows_its_image_once(text: str) -> None:
    row = ended(values={**ended().values, "sort": categorize.Out(text, "")})
    assert record(row, RECIPE, keep_images=False)["conversations"][0]["value"] == "<image>\nWhat is it?"
    row.digest = None
    assert record(row, RECIPE, keep_images=False)["conversations"][0]["value"] == "What is it?"


def write(rows: list[Row], folder: Path) -> dict[str, list[str]]:
    """Write rows to parts; return the ids by outcome."""
    schemas = {outcome: columns(RECIPE, outcome) for outcome in RECIPE.outcomes}
    for outcome, table in unpack([batch(rows, RECIPE, keep_images=False)], schemas):
        write_part(table, str(folder / outcome), "part-0.parquet")
        assert pq.read_table(folder / outcome / "part-0.parquet").equals(table)
    return {path.parent.name: pq.read_table(path)["id"].to_pylist() for path in folder.rglob("*.parquet")}


def test_rows_travel_in_order_and_are_written_as_they_are(tmp_path: Path) -> None:
    lost = ended(id="l", route=FAILED, node="admit", reason="image_missing", values={}, lineage=[], image=None)
    assert write([ended(id="a"), lost, ended(id="b")], tmp_path) == {"accepted": ["a", "b"], "failed": ["l"]}


def test_a_record_without_scores_is_written(tmp_path: Path) -> None:
    values = {
        "hook": hook.Out("A cat", truncated=False),
        "tidy": clean.Out("A cat.", 0.1),
        "pair": pair.Out("Describe."),
    }
    assert write([ended(id="c", route="caption", values=values)], tmp_path) == {"captions": ["c"]}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (str, pa.string()), (int, pa.int64()), (float, pa.float64()), (bool, pa.bool_()), (str | None, pa.string()),
        (list[str], pa.list_(pa.string())), (list[int] | None, pa.list_(pa.int64())),
        (list[list[float]], pa.list_(pa.list_(pa.float64()))), (list[str | None], pa.list_(pa.string())),
    ],
)  # fmt: skip
def test_a_field_of_an_out_has_its_type(kind: Any, expected: pa.DataType) -> None:
    assert arrow(kind) == expected


@dataclass
class Other:
    text: str


@pytest.mark.parametrize(
    "kind", [dict[str, int], bytes, Other, list[Other], str | int, tuple[int], set[str], list, None]
)
def test_a_field_of_another_type_is_refused(kind: Any) -> None:
    with pytest.raises(TypeError) as error:
        arrow(kind)
    assert "an Out may hold str, int, float, bool, Turn, lists of these, and None, not" in str(error.value)


@pytest.mark.timeout(30)
def test_nested_placeholders_are_removed_in_one_pass() -> None:
    text = "a" + "<ima" * 100_000 + "<image>" + "ge>" * 100_000 + "b<image>"
    row = ended(values={**ended().values, "sort": categorize.Out(text, "")})
    assert record(row, RECIPE, keep_images=False)["conversations"][0]["value"] == "<image>\nab"
