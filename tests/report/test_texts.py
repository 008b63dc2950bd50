"""Text statistics: defects, root verbs, and n-grams shared with benchmarks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from benchmarks.hostile.words import TEXTS
from oasis_ray.errors import JobError
from oasis_ray.report.tokens import tokenize_with
from oasis_ray.stats.contamination import grams_of, read_benchmarks
from oasis_ray.stats.defects import defects
from oasis_ray.stats.verbs import load_parser, root_verbs
from tests.support.checkout import ROOT

LINE = "What is the value of the tallest bar in the chart of the year"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What is in the picture?", []),
        ("", ["empty"]),
        (" \n", ["empty"]),
        ("Look: <|im_end|>", ["special token"]),
        ("<image>\nWhat is it?", ["special token"]),
        ("[INST] Obey [/INST]", ["special token"]),
        ("a < b | c > d and 2<3", []),
        ("I'm sorry, but I can't help with that.", ["refusal"]),
        ("I’m unable to see it.", ["refusal"]),
        ("As an AI language model, I see nothing.", ["refusal"]),
        ("抱歉,我无法回答。", ["refusal"]),
        ("She says: I am sorry.", ["refusal"]),  # the rule can't know; the report shows examples
        (("The sign in the window of the shop on the other side of the street, above the door, which is open, on which "
         "somebody wrote, says: I am sorry."), []),
        ("ha " * 20, ["loop"]),
        ("---------------------------", ["loop"]),
        ("I cannot. " * 9, ["refusal", "loop"]),
    ],
)  # fmt: skip
def test_a_defect_is_found_by_its_rule(text: str, found: list[str]) -> None:
    assert list(defects(text)) == found


def test_tokens_are_counted_as_transformers_counts_them(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((ROOT / "benchmarks/models/vlm" / name).read_bytes())
    made = json.loads((ROOT / "benchmarks/models/vlm/tokenizer.json").read_bytes())
    made["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    (tmp_path / "tokenizer.json").write_text(json.dumps(made))
    theirs = AutoTokenizer.from_pretrained(tmp_path)(list(TEXTS), add_special_tokens=False, verbose=False)
    assert tokenize_with(str(tmp_path))(list(TEXTS)) == [len(ids) for ids in theirs["input_ids"]]


def test_a_tokenizer_that_can_not_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer\.json is not a tokenizer: "):
        tokenize_with(str(tmp_path))


@pytest.fixture(scope="module")
def parser() -> Any:
    found = load_parser()
    assert found is not None, "make setup installs spaCy's English pipeline"
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Describe the chart in detail.", ("describe", "chart")),
        ("Can you write a short story about this scene?", ("write", "story")),
        ("Answer the question using a single word.", ("answer", "question")),
        ("What is the color of the circle?", ("be", None)),
        ("Explain why the sky looks red.", ("explain", None)),
        ("A nice day.", None),
        ("", None),
        ("!!! ???", None),
    ],
)
def test_the_root_verb_and_its_object(text: str, expected: Any, parser: Any) -> None:
    assert list(root_verbs(parser, [text])) == [expected]


def files(folder: Path) -> Iterator[Path]:
    """The same line in every supported format."""
    (folder / "a.txt").write_text(f"x\n{LINE}\n")
    (folder / "b.json").write_text(json.dumps([{"turns": [{"q": LINE, "n": 1}]}]))
    (folder / "c.jsonl").write_text(json.dumps({"q": "x"}) + "\n" + json.dumps({"q": LINE}) + "\n")
    pq.write_table(pa.table({"rows": [[{"q": LINE}]], "n": [1]}), folder / "d.parquet")
    return (folder / name for name in ("a.txt", "b.json", "c.jsonl", "d.parquet"))


def test_a_benchmark_is_read_from_every_format(tmp_path: Path) -> None:
    found = read_benchmarks(list(files(tmp_path)))
    expected = np.unique(grams_of(LINE))
    assert [one.name for one in found] == ["a.txt", "b.json", "c.jsonl", "d.parquet"]
    assert all(np.array_equal(one.grams, expected) for one in found)


def test_a_lone_surrogate_in_a_benchmark_changes_no_other_letter(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(f'["\\ud800\\u0057{LINE[1:]}"]')
    (benchmark,) = read_benchmarks([tmp_path / "a.json"])
    assert np.array_equal(benchmark.grams, np.unique(grams_of(LINE)))


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("Tell me: what is the VALUE of the tallest bar, in the chart?", True),
        ("What is the value of the tallest bar", True),  # eight words
        ("What is the value of the tallest", False),  # seven
        ("", False),
    ],
)
def test_eight_words_in_a_row_are_shared(text: str, shares: bool, tmp_path: Path) -> None:
    (benchmark,) = read_benchmarks([next(files(tmp_path))])
    assert benchmark.shares(grams_of(text)) is shares


def test_every_file_that_is_no_benchmark_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_text("x")
    with pytest.raises(JobError) as raised:
        read_benchmarks([tmp_path / "a.pdf", tmp_path / "b.txt"])
    assert raised.value.problems == (
        f"--benchmark: there is no file {tmp_path}/b.txt",
        f"--benchmark: {tmp_path}/a.pdf is none of .txt, .json, .jsonl, .parquet",
    )


def test_a_benchmark_that_is_no_json_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(JobError, match="can't be read as JSON"):
        read_benchmarks([tmp_path / "a.json"])
