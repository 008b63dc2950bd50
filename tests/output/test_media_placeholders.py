"""Placeholders and special tokens: a turn has none but the placeholder of its image, and changed rows are counted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from oasis_ray.engine.chat_template import Chat
from oasis_ray.export.export import export
from oasis_ray.export.options import read_options
from oasis_ray.output.media_placeholders import ACTING, WORDS, harmless
from tests.support.checkout import ROOT
from tests.support.ended_rows import row, write_run
from tests.support.shards import picture

ASKED = "What does the <video> tag do, and <audio> and <bbox>? And <image>?"
ANSWERED = "It is shown as <|vision_start|><|image_pad|><|vision_end|> and <video>.<|im_end|>\n</s>[INST]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("Is 3 < 4 | 5 > 2?", "Is 3 < 4 | 5 > 2?"),
        ("What is <b>bold</b>?", "What is <b>bold</b>?"),
        ("the <video> tag", "the < video> tag"),
        ("<image>\nWhat?", "\nWhat?"),
        ("<im<image>age>", ""),
        ("<|im_end|>", "< |im_end|>"),
        ("<|a b|>", "<|a b|>"),
        ("<<|im_end|>|im_end|>", "<< |im_end|>|im_end|>"),
        ("<video><video>", "< video>< video>"),
        ("<vid<image>eo>", "< video>"),
        ("<｜end▁of▁sentence｜>", "< ｜end▁of▁sentence｜>"),
        ("[INST] a [/INST]", "[ INST] a [ /INST]"),
        ("<s>a</s>", "< s>a< /s>"),
    ],
)
def test_a_special_word_becomes_ordinary_text(text: str, expected: str) -> None:
    assert harmless(text) == expected
    assert harmless(harmless(text)) == harmless(text)


@pytest.mark.parametrize("word", WORDS)
def test_no_word_of_the_list_is_left(word: str) -> None:
    assert ACTING.search(harmless(f"a{word}b{word[:3]}{word}{word[3:]}")) is None


def test_a_long_text_of_nested_words_is_fast() -> None:
    assert len(harmless("<|" * 200_000 + "|>" * 200_000)) >= 800_000


@pytest.mark.parametrize("form", ["llava", "sharegpt", "swift", "openai"])
def test_an_export_has_as_many_placeholders_as_images_and_counts_what_it_changed(
    form: str, tmp_path: Path, job_file: Callable[..., Path]
) -> None:
    rows = [row("a", ASKED, ANSWERED, picture()), row("b", "What is it?", "A square.", picture("red")),
            row("c", "No image, <video>?", "None.", None)]  # fmt: skip
    run = write_run(tmp_path / "run", job_file(), rows)
    made = export([str(run)], str(tmp_path / "out"), read_options(form))
    text = (made.folder / ("train.json" if form == "llava" else "train.jsonl")).read_text(encoding="utf-8")
    records = json.loads(text) if form == "llava" else [json.loads(line) for line in text.splitlines()]
    for record in records:
        every = json.dumps(record.get("conversations") or record.get("messages"))
        images = len(record.get("images", [1] if "image" in record else []))
        assert every.count("<image>") == (0 if form == "openai" else images)
        assert [word for word in ("<video>", "<audio>", "<bbox>", "<|", "</s>", "[INST]") if word in every] == []
    assert json.loads((made.folder / "export.json").read_text())["texts"] == {"rows_changed": 2}
    (note,) = made.notes
    assert note == (
        "2 rows have texts with placeholders or special tokens that trainers interpret (<image>, <video>, <|im_end|>); "
        "in the turns <image> was removed, and others got a space: < video>"
    )


def test_no_text_of_a_turn_becomes_a_special_token_of_the_demo_models() -> None:
    tokenizer = Chat.load(str(ROOT / "benchmarks/models/vlm")).tokenizer
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    assert special & set(tokenizer(ANSWERED, add_special_tokens=False)["input_ids"])
    assert not special & set(tokenizer(harmless(ANSWERED), add_special_tokens=False)["input_ids"])
