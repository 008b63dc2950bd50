"""Conversations of several turns, with a system turn or none, are written as each format's loader reads them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oasis_ray.export.export import export
from oasis_ray.export.images import name_of
from oasis_ray.export.messages import as_json, openai
from oasis_ray.export.options import read_options
from oasis_ray.export.provenance import Exported
from tests.support.shards import picture
from tests.support.talks import talk, turns, write_talks

TEAL = picture("teal")
IMAGE = name_of(TEAL)
SYSTEM = "Be <image>short.\n日本語"  # a placeholder there would be a second image
ROWS = [
    talk("both", turns("Q0", "A0", "Q1 <image>", "A1", "Q2", "A2", system=SYSTEM), TEAL),
    talk("image", turns("Q0", "A0", "Q1", "A1"), TEAL),
    talk("system", turns("Q0", "A0", system="[]"), None),
    talk("bare", turns("<image> Q0", "A0", "Q1", "A1"), None),
]
SPOKEN: dict[str, tuple[str | None, bool, list[str]]] = {
    "both": ("Be short.\n日本語", True, ["Q0", "A0", "Q1", "A1", "Q2", "A2"]),
    "image": (None, True, ["Q0", "A0", "Q1", "A1"]),
    "system": ("[]", False, ["Q0", "A0"]),
    "bare": (None, False, ["Q0", "A0", "Q1", "A1"]),
}


def said(name: str, who: tuple[str, str], opening: str) -> list[tuple[str, str]]:
    """Speakers and texts of a row, without its system turn; `opening` stands before the first question."""
    _, image, texts = SPOKEN[name]
    first, *others = texts
    return list(zip(who * (len(texts) // 2), [opening * image + first, *others], strict=True))


def of(tmp_path: Path, form: str, **options: Any) -> Exported:
    run = write_talks(tmp_path / "runs", ROWS)
    return export([str(run)], str(tmp_path / "out"), read_options(form, **options))


def lines(summary: Exported) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (summary.folder / "train.jsonl").read_text("utf-8").splitlines()]


def test_llava_has_the_text_of_the_system_beside_the_turns(tmp_path: Path) -> None:
    # LLaVA's loader stops at a turn that is neither human nor gpt, and ignores other keys.
    summary = of(tmp_path, "llava")
    expected = {}
    for name, (system, image, _) in SPOKEN.items():
        shown = {"image": IMAGE} if image else {}
        beside = {"system": system} if system is not None else {}
        spoken = [{"from": who, "value": text} for who, text in said(name, ("human", "gpt"), "<image>\n")]
        expected[name] = {"id": name, **shown, **beside, "conversations": spoken, "data_source": "talk"}
    assert {row["id"]: row for row in json.loads((summary.folder / "train.json").read_text("utf-8"))} == expected
    note = "2 rows have a system turn, which LLaVA's loader does not take; its text is under the key `system`"
    assert note in summary.notes


def test_sharegpt_has_a_system_turn_whose_role_llama_factory_is_told(tmp_path: Path) -> None:
    summary = of(tmp_path, "sharegpt")
    (info,) = json.loads((summary.folder / "dataset_info.json").read_text()).values()
    assert info["tags"] == {
        "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt", "system_tag": "system",
    }  # fmt: skip
    expected = {}
    for name, (system, image, _) in SPOKEN.items():
        spoken = said(name, ("human", "gpt"), "<image>\n")
        spoken = spoken if system is None else [("system", system), *spoken]
        expected[name] = {
            "id": name, "conversations": [{"from": who, "value": text} for who, text in spoken],
            "images": [IMAGE] if image else [],
        }  # fmt: skip
    assert {row["id"]: row for row in lines(summary)} == expected
    assert not any("system turn" in note for note in summary.notes)


def test_swift_has_a_system_message(tmp_path: Path) -> None:
    expected = {}
    for name, (system, image, _) in SPOKEN.items():
        spoken = said(name, ("user", "assistant"), "<image>")
        spoken = spoken if system is None else [("system", system), *spoken]
        expected[name] = {
            "id": name, "messages": [{"role": who, "content": text} for who, text in spoken],
            "images": [IMAGE] if image else [],
        }  # fmt: skip
    assert {row["id"]: row for row in lines(of(tmp_path, "swift"))} == expected


def test_openai_has_a_system_message_of_one_string_unless_that_may_be_json(tmp_path: Path) -> None:
    from openai.types.chat import ChatCompletionMessageParam
    from pydantic import TypeAdapter

    expected = []
    for name, (system, image, _) in SPOKEN.items():
        parts = [{"type": "text", "text": system}]
        first = [] if system is None else [{"role": "system", "content": parts if name == "system" else system}]
        spoken: list[Any] = [
            {"role": who, "content": [{"type": "text", "text": text}]}
            for who, text in said(name, ("user", "assistant"), "")
        ]
        if image:
            spoken[0]["content"].insert(0, {"type": "image_url", "image_url": {"url": IMAGE}})
        expected.append({"messages": [*first, *spoken]})
    found = lines(of(tmp_path, "openai"))
    for row in found:
        TypeAdapter(list[ChatCompletionMessageParam]).validate_python(row["messages"])
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, expected))


def test_a_placeholder_in_another_turn_of_a_part_is_removed(tmp_path: Path) -> None:
    run = write_talks(tmp_path / "runs", ROWS[:1])
    (path,) = run.glob("accepted/*.parquet")
    part = pq.read_table(path)
    turns = [{**turn, "value": f"<image>\n{turn['value']}"} for turn in part.column("conversations").to_pylist()[0][1:]]
    spoken = pa.array([turns], part.schema.field("conversations").type)
    pq.write_table(part.set_column(part.schema.get_field_index("conversations"), "conversations", spoken), path)
    for pairs in (False, True):
        folder = export([str(run)], str(tmp_path / f"out{pairs}"), read_options("swift", pairs=pairs)).folder
        rows = [json.loads(line) for line in (folder / "train.jsonl").read_text("utf-8").splitlines()]
        assert [str(row).count("<image>") for row in rows] == [1] * (3 if pairs else 1)


PLAIN = ["Be short.", "{{ x", "[System] Be.", "2. Be short.", "None", "1 and 2", "'a'", "a", "", "true or false"]
DOUBTFUL = ["4", "-", "5E", "02", " 4.\n", "1e5", "null", " True ", "NaN", "-Infinity", "[]", "[1,]", '{"a": 1}', "{a}",
            '"a"', '"', "[System: [be]]"]  # fmt: skip


@pytest.mark.parametrize("text", PLAIN + DOUBTFUL)
def test_datasets_loads_the_words_of_a_system_message(text: str, tmp_path: Path) -> None:
    import datasets

    spoken = [[("system", text), ("human", "4"), ("gpt", "5")], [("human", "q"), ("gpt", "null")]]
    rows = [
        openai({"image": None, "conversations": [{"from": who, "value": words} for who, words in turns]})
        for turns in spoken
    ]
    content = rows[0]["messages"][0]["content"]
    assert content == ([{"type": "text", "text": text}] if text in [*DOUBTFUL, ""] else text)
    file = tmp_path / "train.jsonl"
    file.write_text("".join(as_json(row) + "\n" for row in rows), encoding="utf-8")
    loaded = datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    words = [
        [
            turn["content"] if isinstance(turn["content"], str) else turn["content"][0]["text"]
            for turn in row["messages"]
        ]
        for row in loaded
    ]
    assert words == [[text, "4", "5"], ["q", "null"]]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"a": 1.5, "b": 5}, '{"a": 1.5, "b": 5}'),
        ({"a": float("nan"), "b": [float("inf"), 1.0], "c": {"d": -float("inf")}},
         '{"a": null, "b": [null, 1.0], "c": {"d": null}}'),
        ({"a": "\u2028\u2029\u0085", "b": "NaN"}, '{"a": "\\u2028\\u2029\\u0085", "b": "NaN"}'),
    ],
)  # fmt: skip
def test_a_line_of_json_has_no_other_line_end_and_no_number_that_json_lacks(
    record: dict[str, Any], expected: str
) -> None:
    assert as_json(record) == expected
