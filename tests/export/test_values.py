"""Values of records, in `scores` and `columns`, have one type in all rows of a data set, and are null where none is."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest

from oasis_ray.errors import JobError
from oasis_ray.export.export import export
from oasis_ray.export.options import read_options
from oasis_ray.export.values import Field, Source, Wanted, conform, listed, unite, word
from oasis_ray.types import Turn
from tests.support.exports import accepted, exported
from tests.support.shards import picture
from tests.support.talks import RECIPE, talk, turns, view, write_talks

RED = picture("red")
TEXT, WHOLE, REAL, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
TURN = pa.struct([("speaker", pa.string()), ("text", pa.string())])
ROWS = [
    talk("t", turns("q", "a", "r", "b", system="Be."), RED, kinds=["x", "y"], depths=[1, 2], tags=[], grade=5,
         gain=-0.25, speech=[Turn("system", "u"), Turn("human", "v")], note="日本\u2028", rate=0.1, sure=False),
    talk("plain", turns("q", "a"), RED, rate=float("nan"), gain=float("inf")),
    view("v", "Look?", "There.", RED, place="here", rate=2**53 - 1, grade=2.5),
]  # fmt: skip
COLUMNS = dict.fromkeys(("depths", "kinds", "note", "rate", "speech", "sure", "tags", "place"))
VALUES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "t": ({"gain": -0.25, "grade": 5.0}, COLUMNS | {
        "kinds": ["x", "y"], "depths": [1, 2], "tags": [], "note": "日本\u2028", "rate": 0.1, "sure": False,
        "speech": [{"speaker": "system", "text": "u"}, {"speaker": "human", "text": "v"}]}),
    "plain": ({"gain": None, "grade": 3.0}, COLUMNS),
    "v": ({"gain": None, "grade": 2.5}, COLUMNS | {"place": "here", "rate": 2.0**53 - 1}),
}  # fmt: skip


def of(runs: list[Path], form: str, **options: Any) -> Path:
    out = runs[0].parent / f"out{len(list(runs[0].parent.iterdir()))}"
    return export([str(run) for run in runs], str(out), read_options(form, **options)).folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_talks(tmp_path / "runs", ROWS)


def test_datasets_loads_values_of_all_records_with_their_types(run: Path) -> None:
    loaded = datasets.load_dataset(str(of([run], "hf")), split="train", cache_dir=str(run.parent / "cache"))
    text, number, whole = (datasets.Value(name) for name in ("string", "float64", "int64"))
    assert {name: loaded.features[name] for name in ("scores", "columns")} == {
        "scores": {"gain": number, "grade": number},
        "columns": {
            "depths": datasets.List(whole), "kinds": datasets.List(text), "note": text, "rate": number,
            "speech": datasets.List({"speaker": text, "text": text}), "sure": datasets.Value("bool"),
            "tags": datasets.List(text), "place": text,
        },
    }  # fmt: skip
    found = {row["id"]: (row["scores"], row["columns"]) for row in loaded.remove_columns("image")}
    scores, columns = found["plain"]
    assert (repr(scores.pop("gain")), repr(columns.pop("rate"))) == ("inf", "nan")
    expected = dict(VALUES)
    expected["plain"] = {"grade": 3.0}, {name: None for name in COLUMNS if name != "rate"}
    assert found == expected


def test_webdataset_has_them_in_its_json_and_null_for_what_is_no_number(run: Path) -> None:
    found = {}
    with tarfile.open(of([run], "webdataset") / "data/train-00000.tar") as tar:
        for member in tar:
            if member.name.endswith(".json") and (stream := tar.extractfile(member)):
                row = json.loads(stream.read(), parse_constant=pytest.fail)
                found[row["id"]] = row["scores"], row["columns"]
    assert found == VALUES


@pytest.mark.parametrize("form", ["llava", "sharegpt", "openai", "swift"])
def test_formats_of_chats_leave_them_out(form: str, run: Path) -> None:
    folder = of([run], form)
    keys = {
        "llava": {"id", "image", "system", "conversations", "data_source"},
        "sharegpt": {"id", "conversations", "images"}, "openai": {"messages"}, "swift": {"id", "messages", "images"},
    }  # fmt: skip
    text = (folder / ("train.json" if form == "llava" else "train.jsonl")).read_text("utf-8")
    rows = json.loads(text) if form == "llava" else [json.loads(line) for line in text.splitlines()]
    assert {key for row in rows for key in row} == keys[form]


def test_the_card_lists_them_by_name(run: Path, make: Callable[..., Path]) -> None:
    card = (of([run], "hf") / "README.md").read_text("utf-8")
    scores, columns = (line for line in card.splitlines() if line.startswith(("| `scores` |", "| `columns` |")))
    assert scores == (
        "| `scores` | the scores, by axis; null on axes that do not apply to the row's record: gain (number), "
        "grade (number) |"
    )
    assert columns == (
        "| `columns` | further values, by name; null where the row's record has none: depths (list of integers), "
        "kinds (list of texts), note (text), rate (number), speech (conversation), sure (yes or no), "
        "tags (list of texts), place (text) |"
    )
    plain = (exported(make(accepted(2)), "hf")[1].folder / "README.md").read_text("utf-8")
    assert "| `columns` |" not in plain
    assert "to the row's record: solvability (integer), clarity (integer), " in plain


def test_croissant_describes_them_and_reads_what_it_has_paths_for(run: Path) -> None:
    import mlcroissant

    described = mlcroissant.Dataset(jsonld=of([run], "hf") / "croissant.json")
    assert described.metadata.issues.errors == set()
    found = {row["rows/id"].decode(): row for row in described.records("rows")}["t"]
    plain = {
        key.removeprefix("rows/"): [one.decode() for one in value] if key.endswith("kinds") else value
        for key, value in found.items() if key.startswith(("rows/scores", "rows/columns"))
    }  # fmt: skip
    assert plain == {
        "scores/gain": -0.25, "scores/grade": 5.0, "columns/depths": [1, 2], "columns/kinds": ["x", "y"],
        "columns/note": "日本\u2028".encode(), "columns/rate": 0.1, "columns/sure": False, "columns/tags": [],
        "columns/place": None,
    }  # fmt: skip


def test_records_that_the_mix_leaves_out_entirely_give_no_values(run: Path) -> None:
    folder = of([run], "hf", mix=["views=0"])
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(run.parent / "cache"))
    assert loaded.features["scores"] == {"gain": datasets.Value("float64"), "grade": datasets.Value("int64")}
    assert "place" not in loaded.features["columns"]


def test_runs_with_and_without_values_are_exported_together(run: Path, make: Callable[..., Path]) -> None:
    old = make(accepted(2), drop=("scores",))
    loaded = datasets.load_dataset(str(of([old, run], "hf")), split="train", cache_dir=str(run.parent / "cache"))
    found = {row["id"]: (row["scores"], row["columns"]) for row in loaded.remove_columns("image")}
    without = {"gain": None, "grade": None}, COLUMNS
    assert [found[name] for name in ("a0", "a1", "t")] == [without, without, VALUES["t"]]


def test_a_value_of_different_types_is_an_error_that_says_which_and_what_to_do(run: Path, tmp_path: Path) -> None:
    records = dict(RECIPE["records"])
    records["accepted"] = records["accepted"] | {
        "columns": {"note": "talk.grade", "tags": "talk.speech", "rate": "talk.rate"}
    }
    other = write_talks(tmp_path / "runs", ROWS, "other", records=records)
    with pytest.raises(JobError) as error:
        of([run, other], "hf")
    ways = (
        "a column of a data set has one type: export these runs one by one, leave a record out (--mix NAME=0), or give "
        "the value another name in one of the recipes"
    )
    assert error.value.problems == (
        f"columns.note: text in {run}/accepted, integer in {other}/accepted; {ways}",
        f"columns.tags: list of texts in {run}/accepted, conversation in {other}/accepted; {ways}",
    )
    assert sorted(path.name for path in run.parent.iterdir()) == [
        "job.yaml",
        "other",
        "other.yaml",
        "talks",
        "talks.yaml",
    ]
    assert of([run, other], "swift").name  # this format has no values


def schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema({"id": TEXT, "columns": pa.struct(list(columns.items()))})


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (TEXT, TEXT, TEXT), (WHOLE, REAL, REAL), (REAL, WHOLE, REAL), (pa.list_(WHOLE), pa.list_(REAL), pa.list_(REAL)),
        (pa.list_(TURN), pa.list_(TURN), pa.list_(TURN)), (TURN, TURN, TURN), (BOOL, BOOL, BOOL),
        (TEXT, WHOLE, None), (BOOL, WHOLE, None), (BOOL, REAL, None), (TEXT, pa.list_(TEXT), None), (TURN, TEXT, None),
        (pa.list_(TEXT), pa.list_(WHOLE), None), (pa.list_(TURN), TURN, None),
    ],
)  # fmt: skip
def test_integers_and_numbers_are_numbers_and_no_other_types_are_mixed(
    one: pa.DataType, other: pa.DataType, common: pa.DataType | None
) -> None:
    sources = [Source("a", schema(x=one)), Source("b", schema(y=TEXT)), Source("c", schema(x=other))]
    if common is not None:
        assert unite(sources) == {"columns": pa.struct([("x", common), ("y", TEXT)])}
        return
    with pytest.raises(JobError) as error:
        unite(sources)
    (problem,) = error.value.problems
    assert problem.startswith(f"columns.x: {word(one)} in a, {word(other)} in c; ")


def test_a_list_that_goes_with_exchanges_has_the_type_of_its_elements() -> None:
    divided = Source("a", schema(x=pa.list_(WHOLE), y=pa.list_(TEXT)), frozenset({Field("columns", "x")}))
    assert unite([divided]) == {"columns": pa.struct([("x", WHOLE), ("y", pa.list_(TEXT))])}
    assert unite([divided, Source("b", schema(x=REAL))])["columns"].field("x").type == REAL
    with pytest.raises(JobError, match=r"columns\.x: integer in a, list of integers in b; "):
        unite([divided, Source("b", schema(x=pa.list_(WHOLE)))])
    assert unite([]) == unite([Source("a", pa.schema({"id": TEXT}))]) == {}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (TEXT, "text"), (WHOLE, "integer"), (REAL, "number"), (BOOL, "yes or no"), (TURN, "turn"),
        (pa.list_(TEXT), "list of texts"), (pa.list_(TURN), "conversation"),
        (pa.list_(pa.list_(REAL)), "list of lists of numbers"),
        (pa.int8(), "int8"), (pa.list_(BOOL), "list of yes or no"), (pa.list_(pa.list_(TURN)), "list of conversations"),
    ],
)  # fmt: skip
def test_types_have_the_names_that_recipes_give_them(kind: pa.DataType, expected: str) -> None:
    assert listed({"columns": pa.struct([("x", kind)])}, "columns") == [f"x ({expected})"]


def test_a_struct_that_rows_lack_is_null_in_all_fields() -> None:
    wanted = pa.struct([("x", REAL), ("y", pa.list_(TEXT))])
    made = conform(None, Wanted("columns", wanted, frozenset()), 2, None)
    assert made.to_pylist() == [{"x": None, "y": None}] * 2
