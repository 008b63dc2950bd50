"""With `--pairs`, an export has a record of each question with its answer, in place of conversations."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from oasis_ray.cli import app
from oasis_ray.errors import JobError
from oasis_ray.export.export import export
from oasis_ray.export.options import FormatName, read_options
from oasis_ray.export.provenance import Exported
from oasis_ray.recipe.row import Row
from tests.support.command import call_here
from tests.support.ended_rows import row, write_run
from tests.support.shards import picture
from tests.support.talks import RECIPE, talk, turns, view, write_talks
from tests.support.trainers import drawn, encoded

RED, BLUE, TEAL = (picture(colour) for colour in ("red", "blue", "teal"))
ROWS = [
    talk("red", turns("Q0", "A0", "Q1 <video>", "A1", "Q2", "A2", system="Be short."), RED,
         kinds=["x", "y", "z"], depths=[1, 2, 3], tags=["p"], speech=turns("u", "v"), note="n"),
    talk("blue", turns("What <image>?", "This <image>."), BLUE, kinds=["w"], depths=[7], tags=[], rate=0.5),
    talk("none", turns("one?", "1", "two?", "2"), kinds=None, depths=[8, 9], tags=["p", "q"]),
    view("view", "Look?", "There.", BLUE, place="here"),
]  # fmt: skip


def of(run: Path | list[Path], form: str = "webdataset", **options: Any) -> Exported:
    runs = run if isinstance(run, list) else [run]
    out = runs[0].parent / f"out{len(list(runs[0].parent.iterdir()))}"
    return export([str(one) for one in runs], str(out), read_options(form, pairs=True, **options))


def records(summary: Exported) -> dict[str, dict[str, Any]]:
    """The rows of an export for `webdataset`, by id."""
    found = {}
    for shard in sorted(summary.folder.glob("data/*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                if member.name.endswith(".json") and (stream := tar.extractfile(member)):
                    record = json.loads(stream.read())
                    found[record["id"]] = {**record, "split": shard.name.partition("-")[0]}
    return found


def ids(summary: Exported) -> set[str]:
    return set(records(summary))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_talks(tmp_path / "runs", ROWS)


def exchange(asked: str, answered: str, *, image: bool, system: str | None = None) -> list[dict[str, str]]:
    first = [] if system is None else [{"from": "system", "value": system}]
    question = f"<image>\n{asked}" if image else asked
    return [*first, {"from": "human", "value": question}, {"from": "gpt", "value": answered}]


def test_each_exchange_is_a_record_with_its_own_values(run: Path) -> None:
    summary = of(run)
    digests = {row.id: row.digest for row in ROWS}
    lacking = dict.fromkeys(("depths", "kinds", "note", "rate", "speech", "sure", "tags", "place"))
    common = {"data_source": "talk", "origin": None, "language": None, "run": "talks", "split": "train"}
    scores = {"scores": {"gain": 0.5, "grade": 3.0}}
    speech = [{"speaker": "human", "text": "u"}, {"speaker": "gpt", "text": "v"}]
    red = [
        {"instruction": asked, "response": answered,
         "conversations": exchange(asked, answered, image=True, system="Be short."),
         "columns": lacking | {"kinds": kind, "depths": depth, "tags": ["p"], "speech": speech, "note": "n"}}
        for asked, answered, kind, depth in (("Q0", "A0", "x", 1), ("Q1 < video>", "A1", "y", 2), ("Q2", "A2", "z", 3))
    ]  # fmt: skip
    blue = {"instruction": "What <image>?", "response": "This <image>.",
            "conversations": exchange("What ?", "This .", image=True),
            "columns": lacking | {"kinds": "w", "depths": 7, "tags": [], "rate": 0.5}}  # fmt: skip
    none = [
        {"instruction": asked, "response": answered, "conversations": exchange(asked, answered, image=False),
         "columns": lacking | {"depths": depth, "tags": ["p", "q"]}}
        for asked, answered, depth in (("one?", "1", 8), ("two?", "2", 9))
    ]  # fmt: skip
    looked = {"instruction": "Look?", "response": "There.", "conversations": exchange("Look?", "There.", image=True),
              "columns": lacking | {"place": "here"}, "data_source": "view",
              "scores": {"gain": None, "grade": 0.5}}  # fmt: skip
    assert records(summary) == {
        name: {"id": name, **common, **scores, "image_sha256": digests[name.partition("/")[0]], **record}
        for name, record in {
            "red/0": red[0], "red/1": red[1], "red/2": red[2], "blue": blue, "none/0": none[0], "none/1": none[1],
            "view": looked,
        }.items()
    }  # fmt: skip
    assert (summary.splits, summary.left_out) == ({"train": {"accepted": 6, "views": 1}}, {})
    divided, repeated, texts = summary.notes
    assert divided == (
        "--pairs: split by exchange, so that each has its own element of the list: columns.depths, columns.kinds; "
        "repeated whole in each exchange: scores.gain, scores.grade, columns.note, columns.rate, columns.speech, "
        "columns.sure, columns.tags"
    )
    assert repeated == (
        "columns.tags of accepted in run talks is repeated in each exchange: in 2 of 3 records the list has another "
        "length than there are exchanges"
    )
    assert texts.startswith("1 row has texts with placeholders or special tokens that trainers interpret")
    written = json.loads((summary.folder / "export.json").read_text())
    assert (written["options"]["pairs"], written["splits"]) == (True, summary.splits)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("form", get_args(FormatName))
def test_records_of_one_exchange_are_as_they_are_without_it(
    form: str, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    rows = [
        row("a/0", "How many?", "Two.", RED), row("a", "What <image>?", "That <|im_end|>.", BLUE, path="b.png"),
        row("no picture", "What is two and two?", "Four."), row("c", "Describe it.", "A field.", RED, said="en"),
    ]  # fmt: skip
    run = write_run(tmp_path / "run", job_file(), rows)
    options = {"split": "train=0.5,validation=0.5", "dedup": "text", "caps": ["language=9"]}
    whole = content(export([str(run)], str(tmp_path / "whole"), read_options(form, **options)).folder)
    pairs = content(of(run, form, **options).folder)
    manifests = [json.loads(files.pop("export.json")) for files in (whole, pairs)]
    assert [manifest["options"].pop("pairs") for manifest in manifests] == [False, True]
    assert manifests[0] == manifests[1]
    sentence = b"A conversation of several questions is one row for each of them"
    assert [sentence in files.pop("README.md", sentence * (files is pairs)) for files in (whole, pairs)] == [
        False,
        True,
    ]
    assert whole == pairs


@pytest.mark.parametrize("form", get_args(FormatName))
def test_the_same_rows_give_the_same_bytes_in_other_parts_and_through_many_buckets(
    form: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_talks(tmp_path / "other", ROWS[::-1], a_part=3)
    options = {"split": "train=0.5,validation=0.5", "seed": 5}
    first = content(of(run, form, **options).folder)
    second = content(of(other, form, **options).folder)
    monkeypatch.setattr("oasis_ray.export.shuffle.BUCKET_BYTES", 1)
    monkeypatch.setattr("oasis_ray.export.shuffle.READ_IMAGES", 2)  # the exchanges of a record are read at two times
    third = content(of(run, form, **options).folder)
    assert first == third
    for files in (first, second):
        del files["export.json"]  # it has the digest of run.json, in which the recipe's path is
    assert first == second


def talks(count: int, exchanges: int = 3, **given: Any) -> list[Row]:
    """Conversations t0, t1, … of so many exchanges, on three images; every fourth has none."""
    images = [RED, BLUE, TEAL, None]
    said = [[text for n in range(exchanges) for text in (f"{at} {n}?", "Yes.")] for at in range(count)]
    return [talk(f"t{at}", turns(*texts), images[at % 4], **given) for at, texts in enumerate(said)]


def test_limit_and_mix_count_exchanges(tmp_path: Path) -> None:
    run = write_talks(tmp_path / "r", [*talks(4), *(view(f"v{n}", f"{n}?", "So.", RED) for n in range(9))])
    assert of(run).splits == {"train": {"accepted": 12, "views": 9}}
    summary = of(run, mix=["views=0.5"])
    assert (summary.splits, summary.left_out) == (
        {"train": {"accepted": 12, "views": 6}}, {"views beyond 0.5 per accepted row": 3}
    )  # fmt: skip
    summary = of(run, mix=["views=0"], limit=5)
    assert (len(ids(summary)), summary.left_out) == (
        5, {"views beyond 0 per accepted row": 9, "beyond the limit of 5 rows": 7}
    )  # fmt: skip


def test_a_cap_counts_exchanges_and_detects_the_language_of_each(tmp_path: Path) -> None:
    english, german = "The house stands beside the road and people walk past it.", (
        "Das Haus steht neben der Straße und viele Menschen gehen vorbei.")  # fmt: skip
    said = turns(
        "What do you see in this picture?", english, "Und was ist hier zu sehen?", german, "And what else?", english
    )
    found = records(of(write_talks(tmp_path / "r", [talk("t", said, RED)]), caps=["language=1"]))
    assert {record["language"] for record in found.values()} == {"en", "de"}
    assert len(found) == 2 and "t/1" in found


def test_no_image_and_no_record_is_in_two_splits(tmp_path: Path) -> None:
    rows = [*talks(40, 2), *(talk(f"n{n}", turns("a?", "b", "c?", "d")) for n in range(20))]
    found = records(of(write_talks(tmp_path / "r", rows), split="train=0.5,validation=0.5"))
    assert len(found) == 120
    places: dict[str, set[str]] = {}
    for name, record in found.items():
        places.setdefault(record["image_sha256"] or name.partition("/")[0], set()).add(record["split"])
    assert {len(splits) for splits in places.values()} == {1}
    assert {split for splits in places.values() for split in splits} == {"train", "validation"}


def test_duplicate_texts_are_found_among_exchanges(tmp_path: Path) -> None:
    rows = [
        talk("a", turns("What colour?", "Red.", "Why?", "So."), RED),
        talk("b", turns("Why?", "Because.", "WHAT  colour?", "Blue."), BLUE),
        view("v", "Why?", "so.", TEAL), view("w", "Where?", "So.", TEAL),
    ]  # fmt: skip
    summary = of(write_talks(tmp_path / "r", rows), dedup="text")
    groups = ({"a/0", "b/1"}, {"a/1", "b/0"}, {"v", "w", "a/1"}, {"v", "w"})
    kept = ids(summary)
    assert [len(kept & group) for group in groups[:2]] == [1, 1]
    assert summary.left_out["duplicate text"] == 6 - len(kept)


def test_one_record_of_each_image_keeps_all_its_exchanges(tmp_path: Path) -> None:
    rows = [talk(f"t{n}", turns("a?", "b", "c?", "d", "e?", "f"), (RED, BLUE, None)[n % 3]) for n in range(9)]
    summary = of(write_talks(tmp_path / "r", rows), dedup="image")
    kept: dict[str, set[str]] = {}
    for name in ids(summary):
        kept.setdefault(name.partition("/")[0], set()).add(name.partition("/")[2])
    assert [sum(int(name[1:]) % 3 == image for name in kept) for image in range(3)] == [1, 1, 3]
    assert all(numbers == {"0", "1", "2"} for numbers in kept.values())
    assert summary.left_out == {"duplicate image": 12}


def test_a_conversation_that_has_no_exchanges_is_left_out_and_counted(tmp_path: Path) -> None:
    broken = [turns("a?", "b", "c?"), [*turns("a?", "b"), *turns("c?", "d", system="Be.")], turns("a?", "b")[::-1]]
    rows = [talk(f"b{n}", said, RED, kinds=["x"]) for n, said in enumerate(broken)]
    run = write_talks(tmp_path / "r", [*rows, talk("t", turns("a?", "b", "c?", "d"), RED, kinds=["y", "z"])])
    for options in ({}, {"dedup": "text", "caps": ["language=9"]}):
        summary = of(run, **options)
        kinds = {name: record["columns"]["kinds"] for name, record in records(summary).items()}
        assert kinds == {"t/0": "y", "t/1": "z"}
        assert summary.left_out == {"turns that are not question and answer in turn": 3}
    with pytest.raises(JobError, match=r"leave no row to export \(turns that are not question and answer in turn: 3\)"):
        of(write_talks(tmp_path / "s", rows))


def test_ids_that_two_runs_share_are_made_unique_before_records_are_divided(tmp_path: Path) -> None:
    runs = [write_talks(tmp_path / name, talks(1, 2)) for name in ("r", "s")]
    assert ids(of(runs)) == {"t0/0", "t0/1", "t0#2/0", "t0#2/1"}


@pytest.mark.parametrize("images", ["as-seen", "original", "none"])
def test_images_are_counted_for_each_record_that_has_them(images: str, tmp_path: Path) -> None:
    import PIL.Image

    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    rows = [talk("t", turns("a?", "b", "c?", "d", "e?", "f"), encoded(drawn("blue"), "JPEG", exif=turned))]
    run = write_talks(tmp_path / "r", rows)
    written = json.loads((of(run, "llava", images=images).folder / "export.json").read_text())
    assert written["images"]["rows_that_differ"] == (0 if images == "none" else 3)
    assert any("3 rows have the image's SHA-256" in note for note in written["notes"]) == (images == "none")


SPLIT = "--pairs: split by exchange, so that each has its own element of the list"
TALK, WHOLE = turns("a?", "b", "c?", "d"), "repeated whole in each exchange"
SCORES = "scores.gain, scores.grade"


def recipe(**columns: str) -> dict[str, Any]:
    """Keys of the recipe, with these columns of the record of conversations, and `kind` of the other one."""
    accepted, views = RECIPE["records"]["accepted"], RECIPE["records"]["views"]
    return {
        "records": {"accepted": accepted | {"columns": columns}, "views": views | {"columns": {"kind": "look.place"}}}
    }


DIVISIONS: dict[str, tuple[list[Row], dict[str, Any], str | None]] = {
    "a list that agrees by chance": (
        [talk("t", TALK, tags=["p", "q"])],
        recipe(tags="talk.tags"),
        f"{SPLIT}: columns.tags; {WHOLE}: {SCORES}",
    ),
    "no list": (
        [talk("t", TALK, note="n")],
        recipe(note="talk.note"),
        f"{SPLIT}: none; {WHOLE}: {SCORES}, columns.note",
    ),
    "no record with several exchanges": (
        [talk("t", TALK[:2], tags=["p"], note="n")],
        recipe(tags="talk.tags", note="talk.note"),
        f"{SPLIT}: columns.tags; {WHOLE}: none",
    ),
    "nothing that differs from the run": ([talk("t", TALK[:2], note="n")], recipe(note="talk.note"), None),
    "a list in one record, and a value of that name in a record of one exchange": (
        [talk("t", TALK, kinds=["p", "q"]), view("v", "a?", "b", place="p")],
        recipe(kind="talk.kinds"),
        f"{SPLIT}: columns.kind; {WHOLE}: {SCORES}",
    ),
}


@pytest.mark.parametrize(("rows", "keys", "expected"), DIVISIONS.values(), ids=DIVISIONS)
def test_a_note_says_which_columns_were_split_by_exchange_and_which_were_repeated(
    rows: list[Row], keys: dict[str, Any], expected: str | None, tmp_path: Path
) -> None:
    run = write_talks(tmp_path / "runs", rows, **keys)
    notes = [] if expected is None else [expected]
    summary = of(run)
    assert (summary.notes, json.loads((summary.folder / "export.json").read_text())["notes"]) == (notes, notes)
    assert of(run, "llava").notes == []  # the format has no values


def test_the_note_on_columns_names_record_and_run_where_these_differ(tmp_path: Path) -> None:
    lists = write_talks(tmp_path / "a", [talk("t", TALK, kinds=["p", "q"])], "lists", **recipe(kind="talk.kinds"))
    texts = write_talks(tmp_path / "b", [talk("u", TALK, note="n")], "texts", **recipe(kind="talk.note"))
    (note,) = of([lists, texts]).notes
    assert note == (
        f"{SPLIT}: columns.kind of accepted in run lists; {WHOLE}: {SCORES}, columns.kind of accepted in run texts"
    )


def test_the_command_says_in_one_line_how_columns_were_divided(run: Path) -> None:
    done = call_here("export", run, "--format", "hf", "--out", run.parent / "out", "--pairs")
    (line,) = [line for line in done.stdout.splitlines() if "--pairs" in line]
    whole = f"{SCORES}, columns.note, columns.rate, columns.speech, columns.sure, columns.tags"
    assert line == f"note: {SPLIT}: columns.depths, columns.kinds; {WHOLE}: {whole}"


def test_the_command_takes_the_option(run: Path) -> None:
    out = run.parent / "out"
    words = ["export", str(run), "--format", "swift", "--out", str(out), "--pairs"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "7 rows in" in result.output
    assert len((out / "train.jsonl").read_text(encoding="utf-8").splitlines()) == 7
