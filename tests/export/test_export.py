"""An export has the rows requested, in an order that depends on the seed alone, and reports what it left out."""

import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import fsspec
import PIL.Image
import pytest
from typer.testing import CliRunner

from oasis_ray.cli import app
from oasis_ray.errors import JobError, RunError
from oasis_ray.export.card import escaped
from oasis_ray.export.export import export
from oasis_ray.export.images import name_of, reference
from oasis_ray.export.options import FormatName, read_options
from oasis_ray.export.row_columns import RowColumns
from oasis_ray.export.row_language import detect
from oasis_ray.export.selection import choose
from oasis_ray.export.shuffle import Shuffle
from tests.support.ended_rows import row
from tests.support.exports import IMAGES, accepted, captions, exported
from tests.support.shards import picture

Make = Callable[..., Path]
ENGLISH = "The house stands beside the road and people walk past it."


def test_all_rows_are_exported_by_default(make: Make) -> None:
    names, summary = exported(make(accepted(20) + captions(30)))
    assert sorted(names) == sorted([f"a{n}" for n in range(20)] + [f"c{n}" for n in range(30)])
    assert (summary.splits, summary.left_out, summary.notes) == ({"train": {"accepted": 20, "captions": 30}}, {}, [])
    assert names != sorted(names) and names[:20] != [f"a{n}" for n in range(20)]


def test_the_order_depends_on_the_seed_and_the_ids_alone(make: Make) -> None:
    rows = accepted(20) + captions(9)
    names = exported(make(rows))[0]
    assert names == exported(make(rows[::-1], "other", a_part=7))[0]
    assert names != exported(make(rows, "third"), seed=1)[0]
    fewer = [row for row in rows if row.id != names[3]]
    assert exported(make(fewer, "fewer"))[0] == names[:3] + names[4:]


def test_the_limit_keeps_the_first_of_the_order(make: Make) -> None:
    run = make(accepted(20) + captions(30))
    names, summary = exported(run, limit=7)
    assert (names, summary.left_out) == (exported(run)[0][:7], {"beyond the limit of 7 rows": 43})


def test_texts_that_differ_only_in_case_whitespace_and_unicode_forms_are_duplicates(make: Make) -> None:
    variants = ["How  many?", "how many?\n", "ＨＯＷ many?", "How many", "Combien ?", "combien ?"]
    texts = [row(f"a{n}", text, "Yes.", IMAGES[n]) for n, text in enumerate(variants)]
    names, summary = exported(
        make([*texts, *captions(3), row("c9", "Describe it.", "FIELD 1.", IMAGES[0], said="en")]), dedup="text"
    )
    assert {
        len({*names} & group) for group in ({"a0", "a1", "a2"}, {"a3"}, {"a4", "a5"}, {"c1", "c9"}, {"c0"}, {"c2"})
    } == {1}
    assert summary.left_out == {"duplicate text": 4}


def test_the_first_of_several_rows_with_the_same_image_is_kept(make: Make) -> None:
    run = make([*accepted(20), row("n1", "One and one?", "Two."), row("n2", "Two and two?", "Four.")])
    whole, (names, summary) = exported(run)[0], exported(run, dedup="image")
    first = {IMAGES[int(name[1:]) % 6]: name for name in reversed(whole) if name[0] == "a"}
    assert names == [name for name in whole if name in {*first.values(), "n1", "n2"}]
    assert summary.left_out == {"duplicate image": 14}


def test_a_cap_keeps_the_first_rows_of_each_origin_and_counts_the_unknown_as_one(make: Make) -> None:
    origins = [{"origin": "web"}, {"origin": "books"}, {}]
    rows = [row(f"a{n}", f"Question {n}?", "Yes.", IMAGES[n % 6], **origins[n % 3]) for n in range(15)]
    run = make([*rows, row("b", "What?", "That.", IMAGES[0], origin="papers")])
    whole, (names, summary) = exported(run)[0], exported(run, caps=["origin=2"])
    kept = {name for third in range(3) for name in [n for n in whole if n != "b" and int(n[1:]) % 3 == third][:2]}
    assert names == [name for name in whole if name in kept | {"b"}]
    assert summary.left_out == {"more than 2 per origin": 9}


@pytest.mark.parametrize("drop", [(), ("origin",)])
def test_a_cap_by_origin_needs_origins(drop: tuple[str, ...], make: Make) -> None:
    run = make(accepted(3), drop=drop)
    assert exported(run)[1].rows == 3
    with pytest.raises(JobError, match=r"no row of these runs has an origin \(input.origin\)"):
        exported(run, caps=["origin=2"])


def test_a_cap_by_language_uses_the_nodes_output_and_else_detects(make: Make) -> None:
    spoken = [
        row(f"c{n}", "Describe it.", ENGLISH, IMAGES[n], said="de" if n < 3 else "fr", sure=n != 5) for n in range(6)
    ]
    detected = [row("a1", "What is there?", ENGLISH, IMAGES[0]), row("a2", "Hm?", "Ja.", IMAGES[1])]
    names, summary = exported(make(spoken + detected), caps=["language=1"])
    groups = {"de": {"c0", "c1", "c2"}, "fr": {"c3", "c4"}, "unsure": {"c5", "a2"}, "en": {"a1"}}
    assert {language: len(group & {*names}) for language, group in groups.items()} == dict.fromkeys(groups, 1)
    assert summary.left_out == {"more than 1 per language": 4}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ENGLISH, "en"),
        ("Das Haus steht neben der Straße und viele Menschen gehen vorbei.", "de"),
        ("一座红色的房子，旁边站着两个人。他们看着镜头，背着很大的包。", "zh-cn"),
        ("Yes.", "unsure"),
        ("1234567890 1234567890 1234567890", "unsure"),
        ("", "unsure"),
    ],
)
def test_the_language_of_a_short_text_is_unsure(text: str, expected: str) -> None:
    assert [detect(text), detect(text)] == [expected] * 2


def test_no_image_is_in_two_splits_and_none_moves_when_the_run_grows(make: Make) -> None:
    def split(run: Path) -> dict[str, str]:
        summary = exported(run, split="train=0.6,validation=0.4")[1]
        return {
            sample["id"]: name
            for name in summary.splits
            for sample in json.loads((summary.folder / f"{name}.json").read_text())
        }

    small, large = split(make(accepted(12))), split(make(accepted(12) + captions(30), "larger"))
    assert set(large.values()) == {"train", "validation"}
    assert {name: large[name] for name in small} == small
    assert all(large[f"c{n}"] == large[f"a{n % 6}"] for n in range(30))


def test_ids_that_two_runs_share_are_made_unique(make: Make) -> None:
    runs = [make(accepted(3)), make([*accepted(2), row("a0#2", "What?", "That.", IMAGES[0])], "second/run")]
    names, summary = exported(runs)
    assert sorted(names) == ["a0", "a0#2", "a0#3", "a1", "a1#2", "a2"]
    manifest = json.loads((summary.folder / "export.json").read_text())
    assert [(run["name"], run["rows"]["accepted"]) for run in manifest["runs"]] == [("run", 3), ("run#2", 3)]


def test_an_unfinished_run_is_exported_with_a_note(make: Make) -> None:
    summary = exported(make(accepted(3), state="running"))[1]
    assert (summary.rows, summary.notes) == (
        3,
        ["run run has not finished (running); the rows that it has so far were exported"],
    )


def test_the_rows_of_a_run_that_has_not_ended_are_counted_from_its_parts(make: Make) -> None:
    run = make(accepted(3) + captions(2), state="running")
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({key: manifest[key] for key in manifest.keys() - {"rows", "reasons"}}))
    (shown,) = json.loads((exported(run)[1].folder / "export.json").read_text())["runs"]
    assert (shown["rows"], shown["reasons"]) == ({"accepted": 3, "captions": 2, "rejected": 0, "failed": 0}, [])


def test_a_run_may_be_in_an_object_store(make: Make, tmp_path: Path) -> None:
    fsspec.filesystem("memory").put(str(make(accepted(3))), "/stored", recursive=True)
    summary = export(["memory://stored"], str(tmp_path / "out"), read_options("hf"))
    assert summary.splits == {"train": {"accepted": 3, "captions": 0}}


SHARES = ": each share must be above 0, and they must sum to 1: train=0.95,validation=0.05"


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({"format": "lava"}, [f"--format 'lava' is none of: {', '.join(get_args(FormatName))}. Did you mean 'llava'?"]),
        ({"dedup": "all"}, ["--dedup 'all' is none of: none, text, image."]),
        ({"split": "train"}, ["--split 'train' is not NAME=NUMBER",
                              "--split 'train'" + SHARES]),
        ({"split": "a=0.5,b=0.6"}, ["--split 'a=0.5,b=0.6'" + SHARES]),
        ({"split": "a=1.5,b=-0.5"}, ["--split 'a=1.5,b=-0.5'" + SHARES]),
        ({"split": "a=nan"}, ["--split 'a=nan'" + SHARES]),
        ({"split": "../x=1"}, ["--split: '../x' is not a valid split name; use lower-case letters, digits and _"]),
        ({"split": "a=0.5,a=0.5,b=0.5"}, ["--split: 'a' is given twice"]),
        ({"caps": ["orign=5", "language=0", "origin=x"]},
         ["--cap 'origin=x' is not NAME=NUMBER",
          "--cap: 'orign' can't be capped, only origin and language. Did you mean 'origin'?",
          "--cap language=0: the number of rows must be at least 1"]),
    ],
)  # fmt: skip
def test_all_invalid_options_are_reported_together(options: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(JobError) as error:
        read_options(**{"format": "llava", **options})
    assert list(error.value.problems) == problems


def test_an_export_that_is_refused_leaves_nothing_behind(make: Make, tmp_path: Path) -> None:
    run, full, empty = make(accepted(6)), tmp_path / "full", make([], "empty")
    (full / "x").mkdir(parents=True)
    (tmp_path / "file").touch()
    before = {*tmp_path.rglob("*")}
    for folders, out, options, message in (
        ([run], full, {}, f"--out {full} exists and is not empty; choose another folder or remove this one"),
        (
            [run],
            tmp_path / "file",
            {},
            f"--out: {tmp_path}/file can't be created: {tmp_path}/file is a file",
        ),
        (
            [run],
            tmp_path / "file/deeper/x",
            {},
            f"--out: {tmp_path}/file/deeper/x can't be created: {tmp_path}/file is a file",
        ),
        (
            [run],
            "s3://b/x",
            {},
            "--out s3://b/x: an export is written to a local folder; copy it from there",
        ),
        ([run], f"{tmp_path}/\0", {}, f"--out: {tmp_path}/\0 can't be created: embedded null byte"),
        ([run], "x" * 300, {}, f"--out: {'x' * 300} can't be created: File name too long"),
        ([run, run], tmp_path / "o", {}, f"{run} is given twice"),
        ([full], tmp_path / "o", {}, f"{full} is not a run folder: it has no run.json"),
        ([empty], tmp_path / "o", {}, "nothing to export: these runs have no rows of the records accepted, captions"),
        ([run], tmp_path / "o", {"split": "a=0.999999,b=0.000001"}, "--split: too few rows (6): b would be empty"),
    ):
        with pytest.raises(JobError) as error:
            export([str(folder) for folder in folders], str(out), read_options("llava", **options))
        assert error.value.problems == (message,)
    assert {*tmp_path.rglob("*")} == before


def test_options_that_leave_no_row_are_refused(make: Make) -> None:
    with pytest.raises(JobError, match=r"the options leave no row to export \(captions beyond 0 per accepted row: 3\)"):
        exported(make(captions(3)), mix=["captions=0"])


def test_an_export_that_fails_leaves_nothing_behind(make: Make, tmp_path: Path) -> None:
    run = make([*accepted(3), row("b", "What?", "That.", b"<svg/>")])
    with pytest.raises(RunError, match="a part holds an image that can't be read"):
        exported(run)
    part = next(run.glob("accepted/*"))
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(RunError, match=r"part-x-000000.parquet can't be read: .*; `oasis-ray audit` reports details"):
        exported(run)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.yaml", "run"]


def test_a_disk_that_cannot_be_written_is_reported(make: Make, tmp_path: Path) -> None:
    name = "x" * 254  # the name of the hidden folder is longer
    with pytest.raises(RunError, match=rf"/{name} can't be written, or a part can't be read: \[Errno 36\]"):
        export([str(make(accepted(3)))], f"{tmp_path}/{name}", read_options("llava"))


def test_a_part_that_changes_during_the_export_is_noticed(make: Make, tmp_path: Path) -> None:
    selection = choose([str(make(accepted(4)))], read_options("llava"))
    make(accepted(3))
    shuffle = Shuffle(selection, RowColumns(selection, ["run"], packed=False, keep=None))
    shuffle.spill(tmp_path)
    with pytest.raises(RunError, match="split train: a part was changed during the export; missing rows: 1"):
        list(shuffle.rows("train"))


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("PNG", "png"),
        ("JPEG", "jpg"),
        ("MPO", "jpg"),
        ("WEBP", "webp"),
        ("GIF", "gif"),
        ("BMP", "bmp"),
        ("TIFF", "tiff"),
    ],
)
def test_a_picture_is_named_by_what_it_holds(kind: str, suffix: str) -> None:
    second = {"save_all": True, "append_images": [PIL.Image.new("RGB", (9, 9))]} if kind == "MPO" else {}
    data = picture("red", kind=kind, **second)
    digest = sha256(data).hexdigest()
    assert name_of(data) == f"images/{digest[:2]}/{digest}.{suffix}"


def test_an_empty_folder_may_be_the_target(make: Make, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    export([str(make(accepted(3)))], str(tmp_path / "out"), read_options("swift"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["export.json", "images", "train.jsonl"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a/b.jpg", "a/b.jpg"), ("..a/b..c/d", "..a/b..c/d"), ("ab:c.jpg", "ab:c.jpg")]
    + [
        (path, "sha")
        for path in (None, "", "/a", "../a", "a/../b", "a/..", "..", "s3://b/a", "C:\\a", "c:/a", "a\\b", "a\0b")
    ],
)
def test_a_path_that_leads_out_is_never_given_on(path: str | None, expected: str) -> None:
    assert reference(path, "sha") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a | b\n# c", "a \\| b \\# c"),
        ("<script>&lt;", "\\<script\\>\\&lt;"),
        ("[x](http://y) ![z]", "\\[x\\](http\\://y) !\\[z\\]"),
        ("`a` **b** _c_ ~d~ $e$ \\", "\\`a\\` \\*\\*b\\*\\* \\_c\\_ \\~d\\~ \\$e\\$ \\\\"),
        (7, 7),
    ],
)
def test_texts_are_escaped_on_the_card(text: Any, expected: Any) -> None:
    assert escaped(text) == expected


def test_hostile_names_stay_names_on_the_card(make: Make, tmp_path: Path) -> None:
    name = "x\n---\n# <script>alert(1)</script> | [a](http:b) {{ 7 * 7 }}"
    run = make(accepted(3), prompts={name: ""}, pools={"vlm": {"model": name, "digest": name}})
    export([str(run)], str(tmp_path / "out"), read_options("hf"))
    card = (tmp_path / "out/README.md").read_text()
    shown = r"x --- \# \<script\>alert(1)\</script\> \| \[a\](http\:b) {{ 7 \* 7 }}"
    assert f"| vlm | {shown} | {shown} |" in card and f"Prompts: {shown}." in card


def test_the_path_of_a_models_folder_is_not_exported(make: Make) -> None:
    pools = {
        name: {"model": name, "digest": "d"} for name in ("/home/me/secret/qwen", "~/models/qwen/", "Qwen/Qwen2-VL-2B")
    }
    manifest = json.loads((exported(make(accepted(3), pools=pools))[1].folder / "export.json").read_text())
    assert [model["model"] for model in manifest["runs"][0]["models"].values()] == ["qwen", "qwen", "Qwen/Qwen2-VL-2B"]


def test_the_command_prints_rows_files_bytes_and_what_was_left_out(make: Make, tmp_path: Path) -> None:
    run = make(accepted(20) + captions(30))
    words = ["export", str(run), "--format", "hf", "--out", str(tmp_path / "out"), "--no-images"]
    words += ["--mix", "captions=0.5"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    lines = [" ".join(re.sub("[│┃]", " ", line).split()) for line in result.output.splitlines()]
    size = (tmp_path / "out/data/train-00000.parquet").stat().st_size
    assert {"split accepted captions", "train 20 10", f"data/train-*.parquet 1 {size:,}"} <= {*lines}
    assert "left out: 20 rows, captions beyond 0.5 per accepted row" in lines
    assert re.fullmatch(r"30 rows in [\d.]+ s \(\d+ rows/s\) at .*/out", lines[-1])
