"""The records of an export are those that the runs declare, and a mix limits each by the number of accepted rows."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.errors import JobError
from oasis_ray.export.options import read_options
from tests.support.checkout import ROOT
from tests.support.ended_rows import row
from tests.support.exports import IMAGES, accepted, captions, exported, views, write_scenes

Make = Callable[..., Path]
RATIO = " is not a number of rows per accepted row, such as 0.5 or 0"


@pytest.mark.parametrize(
    ("ratio", "count", "notes"),
    [
        ("0", 0, []),
        ("0.02", 0, []),
        ("0.5", 10, []),
        ("1", 20, []),
        ("1.5", 30, []),
        ("2", 30, ["2 captions per accepted row would be 40; all 30 are exported"]),
        ("1e308", 30, ["1e+308 captions per accepted row would be inf; all 30 are exported"]),
    ],
)
def test_the_rows_of_a_record_are_limited_by_the_number_of_accepted_rows(
    ratio: str, count: int, notes: list[str], make: Make
) -> None:
    names, summary = exported(make(accepted(20) + captions(30)), mix=[f"captions={ratio}"])
    left = {f"captions beyond {ratio} per accepted row": 30 - count} if count < 30 else {}
    splits = {"train": {"accepted": 20, "captions": count}}
    assert (len(names), summary.splits, summary.left_out, summary.notes) == (20 + count, splits, left, notes)
    written = json.loads((summary.folder / "export.json").read_text())
    assert (written["options"]["mix"], written["splits"]) == ({"captions": float(ratio)}, splits)


@pytest.mark.parametrize(
    ("mix", "problems"),
    [
        (["captions"], ["--mix 'captions' is not NAME=NUMBER"]),
        ([""], ["--mix '' is not NAME=NUMBER"]),
        (["captions="], ["--mix 'captions=' is not NAME=NUMBER"]),
        (["captions=half"], ["--mix 'captions=half' is not NAME=NUMBER"]),
        (["captions=0.5,views=1"], ["--mix 'captions=0.5,views=1' is not NAME=NUMBER"]),
        (["captions=1:2"], ["--mix 'captions=1:2' is not NAME=NUMBER"]),
        (["captions=nan"], ["--mix captions=nan" + RATIO]),
        (["captions=inf", "views=-1"], ["--mix captions=inf" + RATIO, "--mix views=-1" + RATIO]),
        (["captions=1", "captions=2"], ["--mix: 'captions' is given twice"]),
        (["accepted=1"], ["--mix: 'accepted' is the record by which the others are measured; name another one"]),
    ],
)
def test_all_invalid_ratios_are_reported_together(mix: list[str], problems: list[str]) -> None:
    with pytest.raises(JobError) as error:
        read_options("llava", mix=mix)
    assert list(error.value.problems) == problems


@pytest.mark.parametrize(
    ("mix", "problems"),
    [
        (["caption=1"], ["--mix: these runs have no record 'caption' (possible: captions). Did you mean 'captions'?"]),
        (["CAPTIONS=1"], ["--mix: these runs have no record 'CAPTIONS' (possible: captions)."]),
        (["=1"], ["--mix: these runs have no record '' (possible: captions)."]),
        (["views=0", "captions=1", "rejected=0"],
         ["--mix: these runs have no record 'views' (possible: captions).",
          "--mix: these runs have no record 'rejected' (possible: captions)."]),
        (["../accepted=1"], ["--mix: these runs have no record '../accepted' (possible: captions)."]),
    ],
)  # fmt: skip
def test_a_record_that_no_run_declares_is_reported_with_those_that_are_possible(
    mix: list[str], problems: list[str], make: Make, tmp_path: Path
) -> None:
    run = make(accepted(2) + captions(2))
    with pytest.raises(JobError) as error:
        exported(run, mix=mix)
    assert list(error.value.problems) == problems
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.yaml", "run"]


def test_a_run_with_accepted_rows_alone_can_be_exported_and_not_be_mixed(make: Make) -> None:
    run = make(accepted(3), records={"accepted": {"route": "main", "data_source": "oasis"}})
    assert exported(run)[1].splits == {"train": {"accepted": 3}}
    with pytest.raises(JobError) as error:
        exported(run, mix=["captions=1"])
    assert error.value.problems == ("--mix: these runs have no record 'captions' (they have only accepted).",)


def test_a_run_of_any_recipe_is_exported_and_mixed_by_the_names_of_its_records(make: Make, tmp_path: Path) -> None:
    run = make(accepted(4) + views(5), recipe=write_scenes(tmp_path))
    names, summary = exported(run)
    assert {*names} == {row.id for row in accepted(4) + views(5)}
    assert (summary.splits, summary.left_out) == ({"train": {"accepted": 4, "views": 5}}, {})
    names, summary = exported(run, mix=["views=0.5"])
    assert (len(names), summary.splits) == (6, {"train": {"accepted": 4, "views": 2}})
    assert summary.left_out == {"views beyond 0.5 per accepted row": 3}
    written = json.loads((summary.folder / "export.json").read_text())
    assert written["data_sources"] == {"accepted": ["oasis"], "views": ["scene"]}


def test_accepted_rows_with_one_instruction_are_duplicates_and_others_are_those_with_one_response(
    make: Make, tmp_path: Path
) -> None:
    alike = [row("a", "What?", "This.", IMAGES[0]), row("b", "What?", "That.", IMAGES[1])]
    again = replace(views(1)[0], id="again")
    names, summary = exported(make([*alike, *views(3), again], recipe=write_scenes(tmp_path)), dedup="text")
    assert [len({*names} & group) for group in ({"a", "b"}, {"v0", "again"}, {"v1"}, {"v2"})] == [1, 1, 1, 1]
    assert (summary.splits, summary.left_out) == ({"train": {"accepted": 1, "views": 3}}, {"duplicate text": 2})


def test_runs_of_several_recipes_have_the_records_of_all_and_each_is_mixed_by_all_accepted_rows(
    make: Make, tmp_path: Path
) -> None:
    runs = [make(accepted(6) + captions(9)), make(accepted(2) + views(9), "other", write_scenes(tmp_path))]
    assert exported(runs)[1].splits == {"train": {"accepted": 8, "captions": 9, "views": 9}}
    assert exported(runs[::-1])[1].splits == {"train": {"accepted": 8, "views": 9, "captions": 9}}
    summary = exported(runs, mix=["views=0.25", "captions=0.5"])[1]
    assert summary.splits == {"train": {"accepted": 8, "captions": 4, "views": 2}}
    assert summary.left_out == {"views beyond 0.25 per accepted row": 7, "captions beyond 0.5 per accepted row": 5}


def test_a_record_that_an_earlier_configuration_of_a_run_declared_is_exported(make: Make) -> None:
    records: dict[str, Any] = {"accepted": {"route": "main", "data_source": "oasis"}}
    earlier = {"until": "", "changes": [], "nodes": [], "records": {**records, "captions": {"route": "caption"}}}
    run = make(accepted(2) + captions(3), records=records, earlier=[earlier])
    assert exported(run)[1].splits == {"train": {"accepted": 2, "captions": 3}}


def test_a_run_that_an_earlier_version_wrote_is_mixed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/fixtures/run_of_version_1/run", tmp_path / "run")
    names, summary = exported(tmp_path / "run", mix=["captions=0"])
    assert (sorted(names), summary.splits) == (["good", "good-2"], {"train": {"accepted": 2, "captions": 0}})
    assert summary.left_out == {"captions beyond 0 per accepted row": 1}
