"""Ingest from a list: each record becomes a row with all its keys, or is skipped, counted and listed with a reason."""

import codecs
import json
import os
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.errors import JobError
from oasis_ray.export import messages
from oasis_ray.input.conversations import NO_ANSWER, NO_TEXT, OTHER_ROLE, TURNS, TWO_QUESTIONS
from oasis_ray.input.image_sources import LEADS_OUT, NO_SUCH_FILE, PassedOver
from oasis_ray.input.ingest import PASSED_OVER, Ingested, ingest
from oasis_ray.input.list_rows import MAX_KEYS, from_list
from oasis_ray.input.record_images import NO_PATH, SEVERAL
from oasis_ray.input.record_lists import NO_RECORD
from oasis_ray.input.shards import open_shards
from oasis_ray.job.input import Input
from tests.support.command import call
from tests.support.shards import picture

ASKED, ANSWERED = {"from": "human", "value": "What?"}, {"from": "gpt", "value": "That."}
TALK = [ASKED, ANSWERED]
A, B = {"bytes": b"a", "path": "a.png"}, {"bytes": b"b", "path": "sub/b.png"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two images, a link that leads out, and an image under a name that is not UTF-8."""
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    (source / "a.png").write_bytes(b"a")
    (source / "sub/b.png").write_bytes(b"b")
    (source / os.fsdecode(b"caf\xe9.png")).write_bytes(b"c")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (source / "out.png").symlink_to(tmp_path / "secret.png")
    return source


def written(folder: Path, records: Iterable[Any], name: str) -> Path:
    """The records as a list."""
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    (folder / name).write_text("[" + ",\n".join(lines) + "]" if name.endswith(".json") else "\n".join(lines))
    return folder / name


def rows(out: Path) -> list[dict[str, Any]]:
    """All rows of the shards, which have one schema."""
    tables = [pq.read_table(file) for file in sorted(out.glob("*.parquet"))]
    assert {table.schema for table in tables} == {tables[0].schema}
    return [row for table in tables for row in table.to_pylist()]


def both(folder: Path, tmp_path: Path, records: list[Any]) -> tuple[Ingested, list[dict[str, Any]]]:
    """Ingest records as `.jsonl` and as `.json`. Both must give the same, but for the words of a place."""
    made = []
    for name in ("list.jsonl", "list.json"):
        out = tmp_path / f"out-{name}"
        result = ingest(written(folder, records, name), out, rows_per_shard=2)
        made.append((result, rows(out)))
    (lines, of_lines), (items, of_items) = made
    as_lines = [(name.replace("list.json, record", "list.jsonl, line"), reason) for name, reason in items.names]
    assert (items.rows, items.passed_over, items.notes, items.without_image, as_lines) == (
        lines.rows, lines.passed_over, lines.notes, lines.without_image, list(lines.names),
    )  # fmt: skip
    assert [{**row, "id": row["id"].replace("list.json:", "list.jsonl:")} for row in of_items] == of_lines
    return lines, of_lines


FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "LLaVA": (
        {"id": "1", "image": "a.png", "conversations": [{"from": "human", "value": "<image>\nWhat?"}, ANSWERED]},
        {"id": "1", "image": A, "conversations": TALK},
    ),
    "ShareGPT": (
        {"conversations": [{"from": "human", "value": "<image>What?"}, ANSWERED], "images": ["a.png"], "system": "S"},
        {"id": "a.png", "image": A, "conversations": TALK, "system": "S"},
    ),
    "OpenAI": (
        {"messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "sub/b.png"}},
                                         {"type": "text", "text": "What?"}]},
            {"role": "assistant", "content": "That."},
        ]},
        {"id": "sub/b.png", "image": B, "messages": TALK},
    ),
    "swift": (
        {"messages": [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "That."}],
         "images": ["a.png"]},
        {"id": "a.png", "image": A, "messages": TALK},
    ),
    "flat": (
        {"image_path": "a.png", "question": "Q", "n": 3, "x": 0.5, "ok": True, "tags": ["t"], "box": [1, 2], "": None},
        {"id": "a.png", "image": A, "question": "Q", "n": 3, "x": 0.5, "ok": True, "tags": ["t"], "box": "[1, 2]",
         "": None},
    ),
    "text only": ({"id": 7, "a.b": "日本", "a": 1}, {"id": "7", "a.b": "日本", "a": 1}),
    "nothing": ({}, {"id": "list.jsonl:1"}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_record_becomes_a_row_with_all_its_keys(form: str, folder: Path, tmp_path: Path) -> None:
    record, row = FORMS[form]
    made, found = both(folder, tmp_path, [record])
    assert (found, made.names, made.notes, made.without_image) == ([row], (), (), int("image" not in row))


def test_records_of_all_forms_are_one_table_with_one_schema(folder: Path, tmp_path: Path) -> None:
    made, found = both(folder, tmp_path, [record for record, _ in FORMS.values()])
    names = dict.fromkeys(["id", "image", *(key for _, row in FORMS.values() for key in row)])
    expected = [dict.fromkeys(names) | row for _, row in FORMS.values()]
    expected[-1]["id"] = "list.jsonl:7"
    assert (found, made.rows, made.shards, made.without_image) == (expected, 7, 4, 2)
    schema = pq.read_schema(tmp_path / "out-list.json/shard-00003.parquet")
    assert schema.field("conversations").type == schema.field("messages").type == TURNS
    assert schema.field("tags").type == pa.list_(pa.string())


def test_a_run_reads_the_columns_of_a_list(folder: Path, tmp_path: Path) -> None:
    ingest(written(folder, [{"id": 1, "image": "a.png", "a.b": "x"}, {"id": 2, "a.b": "y"}], "l.json"), tmp_path / "o")
    assert open_shards(Input(path=str(tmp_path / "o"), id="id", columns=("a.b",))).ids.to_pylist() == ["1", "2"]


@pytest.mark.parametrize(
    ("record", "image"),
    [
        ({"image": "a.png"}, A),
        ({"image": ["a.png"]}, A),
        ({"images": "a.png"}, A),
        ({"images": ["sub/b.png"]}, B),
        ({"img_path": "sub/b.png"}, B),
        ({"file_path": "a.png"}, A),
        ({"file_path": "none.png", "image_path": "a.png"}, A),
        ({"image": None, "images": [], "img_path": "a.png"}, A),
        ({"image": "caf\udce9.png"}, {"bytes": b"c", "path": "caf\\xe9.png"}),
        ({"image": None}, None),
        ({"image": []}, None),
        ({"images": []}, None),
        ({"picture": "a.png"}, None),
    ],
)
def test_the_image_is_the_first_key_that_has_one(
    record: dict[str, Any], image: Any, folder: Path, tmp_path: Path
) -> None:
    made, (_, found) = both(folder, tmp_path, [{"image": "a.png"}, record])
    assert (found["image"], found["id"], made.without_image) == (
        image, image["path"] if image else "list.jsonl:2", int(image is None),
    )  # fmt: skip


def test_an_image_that_is_shown_again_is_one_image(folder: Path, tmp_path: Path) -> None:
    parts = (image_part("a.png"), image_part("a.png"))
    _, found = both(folder, tmp_path, [{"messages": talk(*parts)}, {"image": "a.png", "messages": talk(*parts)}])
    assert [(row["image"], row["messages"]) for row in found] == [(A, TALK), (A, TALK)]


def test_a_column_image_is_left_out_only_if_no_record_has_an_image(folder: Path, tmp_path: Path) -> None:
    _, found = both(folder, tmp_path, [{"image": None, "n": 1}])
    assert found == [{"id": "list.jsonl:1", "n": 1}]
    made = ingest(written(folder, [{"image": "none.png"}, {"n": 1}], "l.json"), tmp_path / "out")
    assert rows(tmp_path / "out") == [{"id": "l.json:2", "image": None, "n": 1}]
    assert (made.rows, made.without_image, made.passed_over) == (1, 1, {NO_SUCH_FILE: 1})


def test_a_second_image_key_keeps_its_column(folder: Path, tmp_path: Path) -> None:
    records = [{"image": "a.png", "file_path": "x/y.py"}, {"file_path": "sub/b.png"}, {"image": "a.png"}]
    _, found = both(folder, tmp_path, records)
    assert [(row["image"], row["file_path"]) for row in found] == [(A, "x/y.py"), (B, "sub/b.png"), (A, None)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('"x"', "x"), ("7", "7"), ("null", "a.png"), ('""', ""), ("12345678901234567890", "12345678901234567890"),
        ("1.5", "1.5"), ("true", "true"), ('{"a": "é"}', '{"a": "é"}'), ('"\\udce9"', "\\xe9"),
    ],
)  # fmt: skip
def test_the_id_is_text(given: str, expected: str, folder: Path, tmp_path: Path) -> None:
    _, found = both(folder, tmp_path, [f'{{"image": "a.png", "id": {given}}}'])
    assert found == [{"id": expected, "image": A}]


def test_duplicate_ids_are_reported(folder: Path, tmp_path: Path) -> None:
    source = written(folder, [{"id": 7}, {"id": "7"}, {"id": 8}, {"image": "a.png"}, {"image": "a.png"}], "l.json")
    assert ingest(source, tmp_path / "out").repeated == ("7", "a.png")


def image_part(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def talk(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "What?"}, *parts]},
            {"role": "assistant", "content": "That."}]  # fmt: skip


LONE = "'utf-8' codec can't encode character '\\ud800' in position 0: surrogates not allowed"
BASE64 = "data:image/png;base64," + "iVBO" * 50
SKIPPED: list[tuple[Any, str, str]] = [
    ("[]", NO_RECORD, "not an object"),
    ('"a.png"', NO_RECORD, "not an object"),
    ("null", NO_RECORD, "not an object"),
    ('{"n": 1, "n": 2}', NO_RECORD, "duplicate key 'n'"),
    ('{"o": {"a": [{"b": 1, "b": 1}]}}', NO_RECORD, "duplicate key 'b'"),
    ('{"n": -1e400}', NO_RECORD, "a number is beyond float64"),
    ('{"id": "\\ud800"}', NO_RECORD, LONE),
    ('{"t": "\\ud800"}', NO_RECORD, LONE),
    ('{"\\ud800": 1}', NO_RECORD, f"a key: {LONE}"),
    ({"image": 5}, NO_RECORD, "its image is not a string"),
    ({"image": {"path": "a.png"}}, NO_RECORD, "its image is not a string"),
    ({"images": [None]}, NO_RECORD, "its image is not a string"),
    ({"image": ["a.png", "sub/b.png"]}, SEVERAL, "write one record per image"),
    ({"images": ["a.png", "a.png"]}, SEVERAL, "write one record per image"),
    ({"messages": talk(image_part("a.png"), image_part("sub/b.png"))}, SEVERAL, "write one record per image"),
    ({"image": "a.png", "messages": talk(image_part("sub/b.png"))}, SEVERAL, "write one record per image"),
    ({"image": "none.png"}, NO_SUCH_FILE, "'none.png'"),
    ({"image": "sub"}, NO_SUCH_FILE, "'sub'"),
    ({"image": ""}, NO_SUCH_FILE, "''"),
    ({"image": "x" * 5000}, NO_SUCH_FILE, f"{'x' * 100!r}"),
    ({"image": "../secret.png"}, LEADS_OUT, "'../secret.png'"),
    ({"image": "/etc/passwd"}, LEADS_OUT, "'/etc/passwd'"),
    ({"image": "out.png"}, LEADS_OUT, "'out.png'"),
    ({"image": "https://host/a.png"}, NO_PATH, "'https://host/a.png'"),
    ({"messages": talk(image_part("http://host/a.png"))}, NO_PATH, "'http://host/a.png'"),
    ({"messages": talk(image_part(BASE64))}, NO_PATH, f"{BASE64[:100]!r}"),
    ({"conversations": [ASKED, ASKED, ANSWERED]}, TWO_QUESTIONS, "turn 2"),
    ({"conversations": [ASKED]}, NO_ANSWER, ""),
    ({"conversations": []}, NO_ANSWER, ""),
    ({"conversations": [ASKED, {"from": "gpt", "value": ""}]}, NO_TEXT, "turn 2"),
    ({"conversations": [ASKED, {"from": "tool", "value": "x"}]}, OTHER_ROLE, "turn 2: 'tool'"),
    ({"conversations": "What? That."}, "a conversation that is not a list of turns", ""),
    ({"conversations": [ASKED, {"from": "gpt", "value": "\ud800"}]}, NO_RECORD,
     LONE),
]  # fmt: skip


@pytest.mark.parametrize(("record", "reason", "detail"), SKIPPED)
def test_a_bad_record_is_skipped_and_listed(
    record: Any, reason: str, detail: str, folder: Path, tmp_path: Path
) -> None:
    good = [{"image": "a.png", "conversations": TALK, "messages": TALK}, {"id": "last"}]
    made, found = both(folder, tmp_path, [good[0], record, good[1]])
    where = (("list.jsonl, line 2", f"{reason}: {detail}" if detail else reason),)
    assert (made.rows, made.passed_over, made.names) == (2, {reason: 1}, where)
    assert [row["id"] for row in found] == ["a.png", "last"]
    listed = [json.loads(line) for line in (tmp_path / "out-list.jsonl" / PASSED_OVER).read_text().splitlines()]
    assert listed == [{"name": name, "reason": reason} for name, reason in where]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nope", "Expecting value: line 1 column 1 (char 0)"),
        (b'{"image": "a.png"', "Expecting ',' delimiter: line 1 column 18 (char 17)"),
        (b'{"image": "\xff"}', "'utf-8' codec can't decode byte 0xff in position 11: invalid start byte"),
        (b'{"n": 1e400}', "a number is beyond float64"),
        (b'{"n": ' + b"9" * 5000 + b"}", "Exceeds the limit (4300 digits) for integer string conversion"),
        (b'{"n": ' + b"[" * 100_000, "maximum recursion depth exceeded"),
    ],
)
def test_a_line_that_is_not_json_is_skipped(line: bytes, reason: str, folder: Path, tmp_path: Path) -> None:
    (folder / "list.jsonl").write_bytes(b'{"image": "a.png"}\n\n' + line + b'\r\n \n{"image": "sub/b.png"}')
    made = ingest(folder / "list.jsonl", tmp_path / "out")
    assert [row["id"] for row in rows(tmp_path / "out")] == ["a.png", "sub/b.png"]
    ((where, why),) = made.names
    assert (where, why.startswith(f"{NO_RECORD}: {reason}")) == ("list.jsonl, line 3", True), why


def test_a_value_of_any_depth_is_skipped_in_a_list(folder: Path, tmp_path: Path) -> None:
    deep = "[" * 5000 + "]" * 5000
    records = [{"n": 1}, f'{{"messages": [{{"role": {deep}}}]}}', f'{{"x": {deep}}}', f'{{"image": {deep}}}',
               f'{{"id": {deep}}}']  # fmt: skip
    made = ingest(written(folder, records, "list.json"), tmp_path / "out")
    assert (made.rows, [name for name, _ in made.names]) == (1, [f"list.json, record {at}" for at in range(2, 6)])


BROKEN = [
    (b"", "Incomplete JSON content"),
    (b"image,id\na.png,1", "Unexpected symbol 'image' at 0"),
    (b'[{"image": "a.png"}, {"image": ', "Incomplete JSON content"),
    (b'[{"image": "a.png"}, {"x": NaN}]', "Unexpected symbol 'N' at 27"),
    (b'[{"image": "a.png"}] [{}]', "Additional data found"),
    (b'[{"n": "\xff"}]', "'utf-8' codec can't decode byte 0xff in position 8: invalid start byte"),
    (b'[{"n": ' + b"9" * 5000 + b"}]", f"Unexpected symbol '{'9' * (200 - len('Unexpected symbol .'))}"),
]
OTHERS = [
    (b'{"data": [{"image": "a.png"}], "v": 1}', "one object with the keys 'data', 'v'", ""),
    (b'{"image": 1}\n{"image": 2}\n', "one object after another (JSON Lines)", "; rename it to list.jsonl"),
    (b'"a.png"', "a string", ""),
    (b"null", "a null", ""),
]
EXPECTED = "a .json must be a list of records, [{…}, {…}]"
PROBLEMS = [
    *((data, f"can't be read as JSON ({why}); {EXPECTED}") for data, why in BROKEN),
    *((data, f"is {found}; {EXPECTED}{remedy}") for data, found, remedy in OTHERS),
    ("[{}]".encode("utf-16"), "is UTF-16; save it as UTF-8"),
    (b"[]", "contains no records that can be used"),
]


@pytest.mark.parametrize(("data", "problem"), PROBLEMS)
def test_a_json_that_is_no_list_is_refused_before_anything_is_written(
    data: bytes, problem: str, folder: Path, tmp_path: Path
) -> None:
    (folder / "list.json").write_bytes(data)
    with pytest.raises(JobError) as error:
        ingest(folder / "list.json", tmp_path / "out")
    assert error.value.problems == (f"{folder}/list.json {problem}",)
    assert not (tmp_path / "out").exists()


def test_a_list_without_a_usable_record_says_why(folder: Path, tmp_path: Path) -> None:
    source = written(folder, [{"image": "none.png"}, "7"], "list.jsonl")
    with pytest.raises(JobError) as error:
        ingest(source, tmp_path / "out")
    assert error.value.problems == (
        f"{source} contains no records that can be used",
        f"list.jsonl, line 1: {NO_SUCH_FILE}: 'none.png'", f"list.jsonl, line 2: {NO_RECORD}: not an object",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["list.jsonl", "list.json"])
def test_a_byte_order_mark_is_skipped(name: str, folder: Path, tmp_path: Path) -> None:
    source = written(folder, [{"image": "a.png"}, {"image": "sub/b.png"}], name)
    source.write_bytes(codecs.BOM_UTF8 + source.read_bytes().replace(b"\n", b"\r\n"))
    assert ingest(source, tmp_path / "out") == Ingested(2, 1)


def test_what_is_not_kept_of_a_row_is_noted(folder: Path, tmp_path: Path) -> None:
    weighted = [{**ASKED, "weight": 0}, {**ANSWERED, "loss": True}]
    shown = [{"from": "human", "value": "<image>\nWhat?"}, ANSWERED]
    records = [
        {"conversations": weighted, "n": 1}, {"conversations": weighted, "n": "x"}, {"conversations": shown},
        {"conversations": shown, "image": "a.png"}, {"conversations": weighted, "image": "none.png"},
    ]  # fmt: skip
    made, _ = both(folder, tmp_path, records)
    assert sorted(made.notes) == [
        "1 record: the placeholder <image> without an image",
        "2 records: the key 'loss' of turns is not kept",
        "2 records: the key 'weight' of turns is not kept",
        "column 'n' is text, because its values are integer (1), text (1)",
    ]


def test_notes_on_many_keys_of_turns_are_bounded(folder: Path, tmp_path: Path) -> None:
    records = [{"conversations": [{**ASKED, f"k{number}": 1}, ANSWERED]} for number in range(150)]
    made = ingest(written(folder, records, "list.json"), tmp_path / "out")
    assert (len(made.notes), made.notes[-1]) == (101, "50 records: further keys of turns are not kept")


def test_keys_that_are_data_are_refused(folder: Path, tmp_path: Path) -> None:
    source = written(folder, [{f"k{number}": 1} for number in range(MAX_KEYS + 1)], "list.json")
    with pytest.raises(JobError) as error:
        ingest(source, tmp_path / "out")
    many = f"more than {MAX_KEYS} different keys, and each would be a column"
    assert error.value.problems == (f"{source}: the first {MAX_KEYS + 1} records have {many}",)
    ingest(written(folder, [{f"k{number}": 1} for number in range(MAX_KEYS)], "list.json"), tmp_path / "out")
    assert len(pq.read_schema(tmp_path / "out/shard-00000.parquet").names) == MAX_KEYS + 1


def test_the_schema_of_a_list_is_found_in_bounded_memory(tmp_path: Path) -> None:
    def peak(records: int) -> int:
        source = written(tmp_path, ({"id": n, "image": "x", "t": "y" * 300} for n in range(records)), "list.jsonl")
        tracemalloc.start()
        try:
            from_list(source, (), PassedOver())
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(20_000) < 1.5 * peak(1000)


def test_a_list_that_changes_while_it_is_read_is_refused(folder: Path) -> None:
    _, found = from_list(written(folder, [{"n": 1}], "list.json"), (), PassedOver())
    written(folder, [{"n": 1, "new": 2}], "list.json")
    with pytest.raises(JobError, match="changed while it was read"):
        list(found)


@pytest.mark.parametrize("form", [messages.llava, messages.sharegpt, messages.swift, messages.openai])
def test_what_an_export_writes_is_read_back(form: Any, folder: Path, tmp_path: Path) -> None:
    asked = {"from": "human", "value": "<image>\nWhat?"}
    row = {"id": "1", "image": "a.png", "conversations": [asked, ANSWERED], "data_source": "oasis"}
    record = form(row)
    _, (found,) = both(folder, tmp_path, [record])
    key = "conversations" if "conversations" in record else "messages"
    kept = {name: row[name] for name in ("data_source",) if name in record}
    assert found == {"id": record.get("id", "a.png"), "image": A, key: TALK, **kept}


VALUES = (
    None, "", "7", "null", "日本\u2028\0", "<image>", 0, -1, (1 << 53) + 1, 1 << 63, 1.0, 0.1, 1e300, True, False,
    [], ["a", ""], ["a", 1], [None], {}, {"a": {"b": [1.5, "é"]}}, [[]], TALK,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_every_value_can_be_read_back_from_its_column(seed: int, folder: Path, tmp_path: Path) -> None:
    rng = Random(seed)
    columns = {key: rng.sample(VALUES, rng.randint(1, 3)) for key in ("n", "a.b", "", "Image", "messages ", "日本")}
    records = [
        {"id": number} | {key: rng.choice(values) for key, values in columns.items() if rng.random() < 0.8}
        for number in range(12)
    ]
    made, found = both(folder, tmp_path, records)
    assert (made.rows, made.names) == (12, ())
    for record, row in zip(records, found, strict=True):
        back = {
            key: json.loads(value) if isinstance(value, str) and not isinstance(record[key], str) else value
            for key, value in row.items()
            if value is not None
        }
        assert back == {key: value for key, value in record.items() if value is not None}
        assert {key: type(value) for key, value in back.items() if isinstance(value, bool)} == {
            key: bool for key, value in record.items() if isinstance(value, bool)
        }


def test_the_command_says_what_was_read_and_how_it_was_changed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    records = [{"id": 1, "image": "a.png", "n": 1}, {"id": 2, "n": "x"}, {"image": "b.png"}]
    done = call("ingest", written(tmp_path, records, "list.json"), tmp_path / "out")
    assert (done.returncode, done.stderr.splitlines(), done.stdout.splitlines()) == (
        0,
        ["passed over list.json, record 3: no such file: 'b.png'",
         "note: column 'n' is text, because its values are integer (1), text (1)"],
        [f"2 rows (1 without an image) in 1 shard at {tmp_path}/out", "passed over: 1 no such file"],
    )  # fmt: skip
