"""Which files at a path are input, and their names: unrelated files are skipped."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import JobError
from oasis_ray.input.listing import HIDDEN_FILES, PARTS_OF_RUNS, Naming, list_files, lists
from oasis_ray.input.shards import open_shards
from oasis_ray.job.input import Input
from oasis_ray.job.load import load_job
from oasis_ray.run.resume import open_input

FILES = [
    "a/1.parquet", "a/b/2.parquet", "3.parquet", "notes.txt",
    ".hidden.parquet", "a/.ipynb_checkpoints/1-checkpoint.parquet", "_temporary/0/4.parquet", "a/_5.parquet",
    "run/run.json", "run/accepted/part-1.parquet", "run/phases/2/part-1.parquet", "a/runs/x/run.json",
    "a/runs/x/captions/part-1.parquet",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Input files, and other files as they occur beside them."""
    for name in FILES:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".json"):
            path.write_text(json.dumps({"format": 1}))
        else:
            pq.write_table(pa.table({"id": [name], "image": pa.array([b""])}), path)
    return tmp_path / "in"


def named(path: Path | str, naming: Naming = "path") -> list[str]:
    return list(list_files(str(path), naming).names.values())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ["3", "a/1", "a/b/2"]),
        ("/", ["3", "a/1", "a/b/2"]),
        ("/*.parquet", ["3"]),
        ("/a", ["1", "b/2"]),
        ("/a/1.parquet", ["1"]),
        ("/*/1.parquet", ["a/1"]),
        ("/**/*.parquet", ["3", "a/1", "a/b/2"]),
        ("/a/[12].parquet", ["1"]),
        ("/run/accepted", ["part-1"]),
        ("/run/accepted/*.parquet", ["part-1"]),
        ("/.*.parquet", [".hidden"]),
        ("/a/_*.parquet", ["_5"]),
        ("/run", []),
        ("/run/*/*.parquet", []),
        ("/nowhere", []),
    ],
)
def test_a_file_is_named_by_its_path_below_the_input_path(path: str, expected: list[str], folder: Path) -> None:
    assert named(f"{folder}{path}") == expected


def test_skipped_files_are_counted_by_reason(folder: Path) -> None:
    assert list_files(str(folder)).passed_over == {HIDDEN_FILES: 4, PARTS_OF_RUNS: 3}
    shards = open_shards(Input(path=str(folder), id="id"))
    assert str(shards.listing) == f"4 {HIDDEN_FILES}, 3 {PARTS_OF_RUNS}"


def test_names_stay_when_files_are_added_or_all_are_moved(folder: Path, tmp_path: Path) -> None:
    one = folder / "a"
    before = {name: Path(file).read_bytes() for file, name in list_files(str(one)).names.items()}
    pq.write_table(pa.table({"id": ["new"], "image": pa.array([b""])}), one / "0.parquet")
    pq.write_table(pa.table({"id": ["newer"], "image": pa.array([b""])}), folder / "a/b/0.parquet")
    after = {name: Path(file).read_bytes() for file, name in list_files(str(one)).names.items()}
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"0", "b/0"}
    one.rename(tmp_path / "elsewhere")
    assert set(named(tmp_path / "elsewhere")) == set(after)


def test_a_run_of_an_old_version_keeps_its_names(tmp_path: Path) -> None:
    for name in ("deep/er/1.parquet", "deep/er/2.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"id": ["x"]}), tmp_path / name)
    assert named(tmp_path, "shared") == ["1", "2"]
    assert named(tmp_path, "path") == ["deep/er/1", "deep/er/2"]


def test_files_that_differ_only_in_their_suffix_have_different_names(tmp_path: Path) -> None:
    for name in ("a.parquet", "a", "b.parquet"):
        pq.write_table(pa.table({"id": [name]}), tmp_path / name)
    assert named(tmp_path / "*") == ["a", "a.parquet", "b"]


def test_records_of_a_run_are_input_if_the_path_points_into_it_and_that_is_recorded(folder: Path) -> None:
    assert list_files(f"{folder}/run/accepted").run == f"{folder}/run"
    assert list_files(f"{folder}/a").run is None


def test_a_run_folder_as_input_is_reported_with_the_path_of_its_records(folder: Path) -> None:
    with pytest.raises(JobError) as error:
        open_shards(Input(path=f"{folder}/run", id="id"))
    (problem,) = error.value.problems
    assert problem == (
        f"input.path: there are no Parquet files at {folder}/run (skipped: 2 {PARTS_OF_RUNS}); to read a run's "
        f"records, name their folder ({folder}/run/accepted)"
    )


@pytest.mark.parametrize(
    ("given", "output", "expected"),
    [
        ("data", "data/run", True),
        ("data/", "data/runs/deep/run", True),
        ("data", "data", True),
        ("data", "data-run", False),
        ("data", "runs/data", False),
        ("data/*.parquet", "data/run", False),
        ("data/**/*.parquet", "data/run", True),
        ("data/*/*/*.parquet", "data/run", True),
        ("data/*/*.parquet", "data/run", False),
        ("data/one.parquet", "data/run", False),
        ("data", "memory://data/run", False),
    ],
)
def test_an_output_whose_parts_the_input_would_list_is_detected(
    given: str, output: str, expected: bool, tmp_path: Path
) -> None:
    there, place = f"{tmp_path}/{given}", output if "://" in output else f"{tmp_path}/{output}"
    assert lists(there, place) is expected


@pytest.mark.parametrize(
    ("given", "output"),
    [("data", "link/run"), ("link", "data/run"), ("link/*/*/*.parquet", "data/run"), ("data", "new/../link/run")],
)
def test_such_an_output_is_detected_through_links(given: str, output: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    assert lists(f"{tmp_path}/{given}", f"{tmp_path}/{output}") is True
    assert lists(f"{tmp_path}/{given}", f"{tmp_path}/other/run") is False


def test_such_an_output_is_refused(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    keys: dict[str, Any] = {"input": {"path": f"{tmp_path}/data"}, "output": {"path": f"{tmp_path}/data/run"}}
    job, recipe = load_job(job_file(**keys), SHIPPED)
    with pytest.raises(JobError) as error:
        open_input(job, recipe, {})
    (problem,) = error.value.problems
    assert problem == (
        f"output.path: {tmp_path}/data/run is inside the folders that input.path ({tmp_path}/data) reads, so the run "
        "would read its own output; choose a folder outside them"
    )
