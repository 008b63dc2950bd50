"""A report measures the texts of all exchanges of a conversation; what is counted by row is still counted by row."""

import json
from pathlib import Path
from typing import Any

import pytest

from oasis_ray.export.export import export
from oasis_ray.export.options import read_options
from oasis_ray.report import statistics as schema
from oasis_ray.report.build import make
from oasis_ray.report.dataset import open_dataset, read
from oasis_ray.report.section import Section
from oasis_ray.report.statistics import DatasetStatistics
from oasis_ray.report.text_sections import duplicates, lengths
from oasis_ray.report.totals import Totals
from tests.support.checkout import ROOT
from tests.support.shards import picture
from tests.support.talks import talk, turns, view, write_talks

TOKENIZER = str(ROOT / "benchmarks/models/llm")
SORRY = "I'm sorry, I can't see it."
EXAM = "Count the red bars of the chart, please do it"
RED = picture("red")
ROWS = [
    talk("a", turns("Describe the chart in detail.", "It has bars.", "Why?", SORRY, "Really?", SORRY), RED),
    talk(
        "b", turns("Describe the chart in detail.", "It has lines.", EXAM, "There are two.", f"So {EXAM}", "Two."), RED
    ),
    talk("c", turns("Count the red bars.", "Two.", system="Be short."), picture("blue")),
    view("v", "Look?", "A red square.", picture("teal")),
]


def statistics(path: Path, out: Path, **options: Any) -> DatasetStatistics:
    """The statistics of a report of one data set."""
    return make([str(path)], str(out), tokenizer=TOKENIZER, **options)[1].subjects[0]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_talks(tmp_path / "runs", ROWS)


@pytest.fixture
def counted(run: Path, tmp_path: Path) -> DatasetStatistics:
    (tmp_path / "exam.txt").write_text(EXAM)
    return statistics(run, tmp_path / "out", benchmarks=[tmp_path / "exam.txt"])


def test_rows_are_counted_by_record_and_lengths_by_text(counted: DatasetStatistics) -> None:
    assert (counted.rows, counted.outcomes) == (4, {"accepted": 3, "views": 1, "rejected": 0, "failed": 0})
    found = {(one.text, one.unit): (one.rows, one.mean) for one in counted.lengths if one.unit != "tokens"}
    assert found == {
        ("instruction", "words"): (7, (5 + 1 + 1 + 5 + 10 + 11 + 4) / 7),
        ("response", "words"): (7, (3 + 6 + 6 + 3 + 3 + 1 + 1) / 7),
        ("views", "words"): (1, 3.0),
        ("instruction", "characters"): (7, (29 + 4 + 7 + 29 + 45 + 48 + 19) / 7),
        ("response", "characters"): (7, (12 + 26 + 26 + 13 + 14 + 4 + 4) / 7),
        ("views", "characters"): (1, 13.0),
        ("accepted", "exchanges"): (3, 7 / 3),
    }
    tokens = {one.text: one.rows for one in counted.lengths if one.unit == "tokens"}
    assert tokens == {"instruction": 7, "response": 7, "views": 1}


def test_the_number_of_exchanges_is_the_length_of_a_conversation(counted: DatasetStatistics) -> None:
    assert counted.lengths[-1] == schema.TextLengths(
        text="accepted", unit="exchanges", rows=3, mean=7 / 3, deviation=(19 / 3 - (7 / 3) ** 2) ** 0.5,
        percentiles={1: 1, 5: 1, 25: 1, 50: 3, 75: 3, 95: 3, 99: 3},
        histogram=[schema.Bin(low=low, high=low + 1, rows=rows) for low, rows in enumerate((0, 1, 0, 2))],
    )  # fmt: skip


def test_languages_verbs_and_copies_are_those_of_all_texts(counted: DatasetStatistics) -> None:
    assert counted.languages.sampled == {"instruction": 7, "response": 7, "views": 1}
    assert counted.verbs is not None
    assert {verb.verb: verb.rows for verb in counted.verbs.verbs} == {"describe": 2, "do": 2, "count": 1}
    assert [one.model_dump() for one in counted.duplicates] == [
        {"what": "instruction", "rows": 7, "sampled": 7, "exact": 1, "near": 1, "most": {"a": 2}},
        {"what": "response", "rows": 7, "sampled": 7, "exact": 2, "near": 0, "most": {"a": 2, "b": 2}},
        {"what": "views", "rows": 1, "sampled": 1, "exact": 0, "near": 0, "most": {}},
        {"what": "image", "rows": 4, "sampled": 4, "exact": 1, "near": 0, "most": {"a": 2}},
    ]


def test_a_row_with_a_defect_in_several_texts_counts_once(counted: DatasetStatistics) -> None:
    found = [one.model_dump() for one in counted.defects if one.rows]
    assert found == [{"text": "response", "kind": "refusal", "rows": 1, "of": 3, "examples": ["a"]}]
    assert {one.text: one.of for one in counted.defects} == {"instruction": 3, "response": 3, "views": 1}
    assert [one.model_dump() for one in counted.overlaps] == [
        {"benchmark": "exam.txt", "text": "instruction", "rows": 1, "of": 3, "examples": ["b"]}
    ]


def labels(section: Section | None) -> list[str]:
    assert section is not None
    return [plot.label for plot in section.plots]


SENTENCES = (
    "Of conversations, the texts of all exchanges are measured.",
    "Of conversations, the texts of all exchanges are compared and counted.",
)


def test_the_page_shows_exchanges_only_where_records_have_several(counted: DatasetStatistics, tmp_path: Path) -> None:
    run = write_talks(tmp_path / "one", [talk("c", turns("Count the red bars.", "Two.")), ROWS[-1]])
    other = statistics(run, tmp_path / "other")
    words = ["Words in each instruction", "Words in each response", "Words in each text of views"]
    assert labels(lengths([counted])) == [*words, "Exchanges in each record of accepted"]
    assert labels(lengths([other])) == words
    assert {one.unit for one in other.lengths} == {"tokens", "words", "characters"}
    for subject, several in ((counted, True), (other, False)):
        for make_section, sentence in zip((lengths, duplicates), SENTENCES, strict=True):
            section = make_section([subject])
            assert section is not None and (sentence in section.lead) == several
    section = lengths([counted])
    assert section is not None
    assert section.tables[0].rows[-1] == (
        "talks", "accepted", "exchanges", "3", "2.3", "0.9", "1", "1", "1", "3", "3", "3", "3"
    )  # fmt: skip


def test_the_gallery_has_all_exchanges_of_a_record(counted: DatasetStatistics, run: Path, tmp_path: Path) -> None:
    items = [{"id": row.id, "messages": [{"role": turn.speaker.replace("human", "user").replace("gpt", "assistant"),
                                          "content": turn.text} for turn in row.values["talk"].turns]}
             for row in ROWS[:3]]  # fmt: skip
    (tmp_path / "items.json").write_text(json.dumps(items))
    statistics(tmp_path / "items.json", tmp_path / "other")
    further = {
        "a": [["Why?", SORRY], ["Really?", SORRY]],
        "b": [[EXAM, "There are two."], [f"So {EXAM}", "Two."]],
        "c": [],
    }
    for folder, others in (("out", {"v": []}), ("other", {})):
        page = (tmp_path / folder / "index.html").read_text("utf-8")
        rows = json.loads(page.split('id="rows">')[1].split("</script>")[0])
        assert {row["id"]: row["further"] for row in rows} == {**further, **others}
        assert {row["id"]: row["instruction"] for row in rows if row["id"] == "a"} == {
            "a": "Describe the chart in detail."
        }


FORMATS = {
    "llava": "train.json",
    "sharegpt": "train.jsonl",
    "openai": "train.jsonl",
    "swift": "train.jsonl",
    "hf": "data",
}
OF_TEXTS = ("rows", "lengths", "languages", "verbs")


@pytest.mark.parametrize(("form", "file"), FORMATS.items(), ids=FORMATS)
def test_a_run_and_its_export_have_the_same_texts(form: str, file: str, tmp_path: Path) -> None:
    run = write_talks(tmp_path / "runs", ROWS[:3])
    exported = export([str(run)], str(tmp_path / "data"), read_options(form, images="none")).folder / file
    of_run, of_export = (statistics(path, tmp_path / f"{n}").model_dump() for n, path in enumerate((run, exported)))
    assert {name: of_export[name] for name in OF_TEXTS} == {name: of_run[name] for name in OF_TEXTS}
    for one, other in zip(of_run["duplicates"], of_export["duplicates"], strict=False):
        assert {**one, "most": None} == {**other, "most": None}
    assert [{**one, "examples": None} for one in of_export["defects"]] == [
        {**one, "examples": None} for one in of_run["defects"] if one["text"] != "views"
    ]


def totals(run: Path) -> Totals:
    """The totals of a run, counted file by file."""
    made = Totals(100)
    for group in open_dataset(str(run)).pieces:
        for file_rows in read(group):
            part = Totals(100)
            part.add(file_rows)
            made.merge(part)
    return made


def test_exchanges_are_counted_the_same_in_any_parts(tmp_path: Path) -> None:
    whole, parts = (totals(write_talks(tmp_path / str(size), ROWS, a_part=size)) for size in (9, 1))
    assert whole.exchanges == parts.exchanges
    assert {record: dict(one.bins) for record, one in whole.exchanges.items()} == {
        "accepted": {1: 1, 3: 2},
        "views": {1: 1},
    }
    assert whole.texts["response"].chosen() == parts.texts["response"].chosen()


def test_a_run_whose_manifest_names_no_turns_has_one_exchange_per_record(run: Path, tmp_path: Path) -> None:
    manifest = json.loads((run / "run.json").read_text())
    for record in manifest["records"].values():
        del record["turns"]
    (run / "run.json").write_text(json.dumps(manifest))
    assert {(one.text, one.rows) for one in statistics(run, tmp_path / "out").lengths if one.unit == "words"} == {
        ("instruction", 3), ("response", 3), ("views", 1)
    }  # fmt: skip
