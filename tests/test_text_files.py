"""Text files are read the same from any platform, and duplicate keys are reported with their lines."""

import codecs
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.cli import SHIPPED
from oasis_ray.errors import JobError
from oasis_ray.input.ingest import ingest
from oasis_ray.job.load import load_job, read_prices
from oasis_ray.report.dataset import open_dataset, read
from oasis_ray.stats.contamination import read_benchmarks
from oasis_ray.text_files import decoded, open_text, read_yaml_text
from tests.support.shards import picture

BOM = codecs.BOM_UTF8


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ""),
        (b"a\nb\n", "a\nb\n"),
        (b"a\r\nb\r\n", "a\nb\n"),
        (b"a\rb", "a\nb"),
        (BOM + b"a", "a"),
        (BOM + BOM + b"a", "\ufeffa"),
        ("日本".encode(), "日本"),
    ],
)
def test_a_text_is_the_same_whatever_wrote_it(data: bytes, expected: str) -> None:
    assert decoded(data, "x") == expected


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("a: 1".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("a: 1".encode("utf-16-le"), "is UTF-16; save it as UTF-8"),
        ("a: 1".encode("utf-16-be"), "is UTF-16; save it as UTF-8"),
        (b"caf\xe9", "is not UTF-8 (byte 0xe9 at position 3); save it as UTF-8"),
    ],
)
def test_other_encodings_than_utf_8_are_rejected(data: bytes, why: str) -> None:
    with pytest.raises(JobError) as error:
        decoded(data, "x.txt")
    assert error.value.problems == (f"x.txt {why}",)


def test_a_stream_begins_after_its_byte_order_mark() -> None:
    assert open_text(io.BytesIO(BOM + b"abc"), "x").read() == b"abc"
    assert open_text(io.BytesIO(b"abcdef"), "x").read() == b"abcdef"
    with pytest.raises(JobError, match="x is UTF-16"):
        open_text(io.BytesIO("abc".encode("utf-16")), "x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no", "no"), ("off", "off"), ("yes", "yes"), ("on", "on"), ("Y", "Y"),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("010", 10), ("0o10", 8), ("0x10", 16), ("1_000", "1_000"), ("1:30", "1:30"), ("+3", 3), ("-3", -3),
        ("2026-11-28", "2026-11-28"), ("1e3", 1000.0), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), (".inf", math.inf),
        ("1.2.3", "1.2.3"), ("a: no", {"a": "no"}), ("no: 1", {"no": 1}), ("[1, 0x2]", [1, 2]), ("'010'", "010"),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
    ],
)  # fmt: skip
def test_yaml_is_read_as_it_looks(text: str, expected: Any) -> None:
    assert read_yaml_text(text, "x") == expected


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: 1\nb: 2\na: 3", ["x, line 3: duplicate key 'a' (first in line 1)"]),
        ("a:\n  b: 1\n  b: 2\nc: {d: 1, d: 2}", ["x, line 3: duplicate key 'b' (first in line 2)",
                                                 "x, line 4: duplicate key 'd' (first in line 4)"]),
        ("a: [{b: 1, b: 1}]", ["x, line 1: duplicate key 'b' (first in line 1)"]),
        ("1: a\n'1': b", ["x, line 2: duplicate key '1' (first in line 1)"]),
        ("a: 1\na: 2\na: 3", ["x, line 2: duplicate key 'a' (first in line 1)",
                              "x, line 3: duplicate key 'a' (first in line 1)"]),
    ],
)  # fmt: skip
def test_a_duplicate_key_is_reported_with_its_lines(text: str, problems: list[str]) -> None:
    with pytest.raises(JobError) as error:
        read_yaml_text(text, "x")
    assert list(error.value.problems) == problems


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\tb: 1", "!!python/object:os.system {}", "[" * 2000])
def test_invalid_yaml_is_reported(text: str) -> None:
    with pytest.raises(JobError, match="x is not YAML"):
        read_yaml_text(text, "x")


def windows(text: str) -> bytes:
    """Return a text as Notepad writes it."""
    return BOM + text.replace("\n", "\r\n").encode()


def test_a_job_its_recipe_prompts_and_prices_are_the_same_from_windows(
    tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    plain = (Path(SHIPPED.prompts) / "clarity.txt").read_text()
    recipe = tmp_path / "recipe.yaml"
    prices = tmp_path / "prices.yaml"

    def loaded(write: Callable[[str], bytes]) -> Any:
        (prompts / "clarity.txt").write_bytes(write(plain))
        recipe.write_bytes(write((SHIPPED.recipes / "oasis.yaml").read_text()))
        prices.write_bytes(write("currency: EUR\ngpu_hour: 2\n"))
        path = job_file(recipe=str(recipe), prompts=str(prompts), prices=str(prices))
        path.write_bytes(write(path.read_text()))
        return load_job(path, SHIPPED), read_prices(str(prices))

    assert loaded(windows) == loaded(str.encode)


def test_duplicate_keys_in_a_job_and_a_recipe_are_reported(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    path = job_file()
    lines = path.read_text().splitlines()
    first = next(number for number, line in enumerate(lines, 1) if line.startswith("max_failed:"))
    path.write_text("\n".join([*lines, "seed: 1", "seed: 2", "max_failed: 0.0"]))
    with pytest.raises(JobError) as error:
        load_job(path, SHIPPED)
    at = len(lines)
    assert list(error.value.problems) == [
        f"{path}, line {at + 2}: duplicate key 'seed' (first in line {at + 1})",
        f"{path}, line {at + 3}: duplicate key 'max_failed' (first in line {first})",
    ]


def test_a_prompt_in_utf_16_is_reported_where_it_is_named(tmp_path: Path, job_file: Callable[..., Path]) -> None:
    (tmp_path / "clarity.txt").write_bytes("Judge {{instruction}}".encode("utf-16"))
    with pytest.raises(JobError) as error:
        load_job(job_file(prompts=str(tmp_path)), SHIPPED)
    assert [
        problem for problem in error.value.problems if f"{tmp_path}/clarity.txt is UTF-16; save it as UTF-8" in problem
    ]


def test_lists_and_benchmarks_with_a_mark_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "list.jsonl").write_bytes(windows('{"image": "a.png"}\n'))
    assert ingest(tmp_path / "list.jsonl", tmp_path / "shards").names == ()
    words = "one two three four five six seven eight nine ten"
    for name, text in (("b.txt", words), ("b.json", json.dumps([words])), ("b.jsonl", json.dumps({"q": words}))):
        (tmp_path / name).write_bytes(windows(text))
    assert {
        len(one.grams) for one in read_benchmarks([tmp_path / f"b.{kind}" for kind in ("txt", "json", "jsonl")])
    } == {3}
    turns = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}]
    for name, text in (
        ("d.json", json.dumps([{"conversations": turns}])),
        ("d.jsonl", json.dumps({"messages": turns})),
    ):
        (tmp_path / name).write_bytes(windows(text))
        (piece,) = open_dataset(str(tmp_path / name)).pieces
        assert [(row.instruction, row.response) for rows in read(piece) for row in rows] == [("What?", "That.")]


@pytest.mark.parametrize("name", ["d.json", "d.jsonl"])
def test_a_data_set_in_utf_16_is_refused_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(json.dumps([{"conversations": []}]).encode("utf-16"))
    (piece,) = open_dataset(str(tmp_path / name)).pieces
    with pytest.raises(JobError, match="is UTF-16; save it as UTF-8"):
        list(read(piece))


def test_an_object_around_a_data_set_is_reported(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text('{"data": [{"conversations": []}], "version": 1}')
    (piece,) = open_dataset(str(tmp_path / "d.json")).pieces
    with pytest.raises(JobError) as error:
        list(read(piece))
    assert error.value.problems == (
        f"{tmp_path}/d.json is one object with the keys 'data', 'version'; a data set is a list of records",
    )
