"""`--dedup text` compares the texts by which the rows of a recipe differ, for each of its records."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from oasis_ray.cli import SHIPPED, app
from oasis_ray.export.compared import Compared, compared_of
from oasis_ray.export.exchanges import sides
from oasis_ray.job.load import load_job
from oasis_ray.output.manifest import describe, node_digests, read_manifest
from oasis_ray.recipe.row import Row
from oasis_ray.stage import RowStage
from tests.support.checkout import ROOT
from tests.support.exports import IMAGES, exported
from tests.support.jobs import scripted, write_job
from tests.support.recipe_jobs import RECIPES, write_recipe_job
from tests.support.talks import RECIPE, talk, turns, view, write_talks

Make = Callable[..., Path]
INSTRUCTION, RESPONSE, BOTH = Compared(), Compared(instruction=False, response=True), Compared(response=True)
QUESTIONS, ANSWERS = (Compared(one.instruction, one.response, several=True) for one in (INSTRUCTION, RESPONSE))

SOURCE = {
    "image": "image", "caption": "text", "turns": "conversation", "languages": "list of texts",
    "topics": "list of texts",
}  # fmt: skip
PHRASES = {"about": "What of {{topic}}?", "inside": "Describe it in {{language}}.", "plain": "Describe it."}


@dataclass(frozen=True, slots=True)
class In:
    """A text and its scores."""

    text: str
    scores: dict[str, int]


@dataclass(frozen=True, slots=True)
class Out:
    """The text."""

    text: str


class Weigh(RowStage[In, Out]):
    """Passes on a text."""

    def apply(self, row: In) -> Out:
        return Out(row.text)


def phrase(name: str, folder: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "stage": "phrase", "with": {"phrases": folder}, **keys}


def asked(name: str, **keys: Any) -> dict[str, Any]:
    """A node that asks a model about the caption."""
    inputs = {"caption": "source.caption"}
    return {"name": name, "stage": "generate", "pool": "llm", "with": {"prompt": "inquire"}, "inputs": inputs, **keys}


def answered(question: str, **keys: Any) -> dict[str, Any]:
    """A node that answers a question."""
    inputs = {"inputs": {"instruction": question}} if question else {}
    return {"name": "answer", "stage": "respond", "pool": "llm", **inputs, **keys}


def joined(questions: str, name: str = "talk") -> dict[str, Any]:
    return {"name": name, "stage": "conversation", "inputs": {"questions": questions, "answers": "answer.text"}}


PICK = {"name": "pick", "stage": "pick", "with": {"shares": {"a": 1, "b": 1}}}
TALK = {"conversation": "talk.turns"}
IN_EACH = phrase("ask", "plain", for_each={"language": "source.languages"})
OF_EACH = phrase("ask", "about", for_each={"topic": "source.topics"})
ANSWER_EACH = answered("", for_each={"instruction": "ask.text"})

CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any], Compared]] = {
    "a model's text": ([asked("ask"), answered("ask.text")], {"instruction": "ask.text"}, INSTRUCTION),
    "a text of the input": ([answered("source.caption")], {"instruction": "source.caption"}, INSTRUCTION),
    "a phrase": ([phrase("ask", "plain"), answered("ask.text")], {"instruction": "ask.text"}, RESPONSE),
    "a phrase with a text of the input": (
        [phrase("ask", "about", inputs={"topic": "source.caption"}), answered("ask.text")],
        {"instruction": "ask.text"}, INSTRUCTION),
    "a phrase with a drawn word": (
        [PICK, phrase("ask", "about", inputs={"topic": "pick.choice"}), answered("ask.text")],
        {"instruction": "ask.text"}, RESPONSE),
    "a phrase that names the language of a text": (
        [{"name": "spoken", "stage": "language", "inputs": {"text": "source.caption"}},
         phrase("ask", "inside", inputs={"language": "spoken.language"}), answered("ask.text")],
        {"instruction": "ask.text"}, RESPONSE),
    "a phrase drawn for a caption": (
        [{"name": "ask", "stage": "pair", "with": {"phrases": "plain"},
          "inputs": {"caption": "source.caption", "language": "source.caption"}}, answered("ask.instruction")],
        {"instruction": "ask.instruction"}, RESPONSE),
    "a phrase, or a model's text": (
        [PICK,
         {"name": "way", "stage": "branch", "inputs": {"choice": "pick.choice"}, "with": {"routes": {"b": "side"}}},
         phrase("ask", "plain"), asked("inquire", route="side", to="main"), answered("source.caption")],
        {"instruction": ["inquire.text", "ask.text"]}, BOTH),
    "a phrase that was judged": (
        [phrase("first", "plain"), answered("first.text"),
         {"name": "judge", "stage": "score", "pool": "llm", "inputs": {"text": "answer.text"},
          "with": {"prompt": "kinds"}},
         {"name": "ask", "stage": "tests.export.test_compared:Weigh",
          "inputs": {"text": "first.text", "scores": {"sense": "judge.score"}}}],
        {"instruction": "ask.text"}, RESPONSE),
    "a question of a conversation": (
        [{"name": "qa", "stage": "turns_to_qa", "inputs": {"turns": "source.turns"}}, answered("qa.question")],
        {"instruction": "qa.question"}, INSTRUCTION),
    "questions of a model": (
        [asked("list"), {"name": "ask", "stage": "split", "inputs": {"text": "list.text"}, "with": {"by": "line"}},
         answered("", for_each={"instruction": "ask.parts"}), joined("ask.parts")], TALK, QUESTIONS),
    "selected phrases": (
        [IN_EACH, ANSWER_EACH,
         {"name": "kinds", "stage": "classify", "pool": "llm", "for_each": {"text": "answer.text"},
          "with": {"prompt": "kinds", "choices": ["a", "b"]}},
         {"name": "some", "stage": "select", "inputs": {"texts": "ask.text", "labels": "kinds.choice"},
          "with": {"labels": ["a"]}}, joined("some.texts")], TALK, ANSWERS),
    "questions that are phrases": ([IN_EACH, ANSWER_EACH, joined("ask.text")], TALK, ANSWERS),
    "questions that are phrases with texts of the input": ([OF_EACH, ANSWER_EACH, joined("ask.text")], TALK, QUESTIONS),
    "a conversation of the input": ([answered("source.caption")], {"conversation": "source.turns"}, QUESTIONS),
    "a follow-up to phrases that is a phrase": (
        [IN_EACH, ANSWER_EACH, joined("ask.text", "first"), phrase("more", "plain"),
         {"name": "talk", "stage": "add_exchange",
          "inputs": {"turns": "first.turns", "question": "more.text", "answer": "source.caption"}}], TALK, ANSWERS),
    "a follow-up to the input that is a phrase": (
        [phrase("more", "plain"),
         {"name": "talk", "stage": "add_exchange",
          "inputs": {"turns": "source.turns", "question": "more.text", "answer": "source.caption"}}], TALK, QUESTIONS),
}  # fmt: skip


def manifest(job_file: Path) -> dict[str, Any]:
    """The manifest of a run of a job as it would start."""
    job, recipe = load_job(job_file, SHIPPED)
    return json.loads(json.dumps(describe(job, recipe, node_digests(job, recipe), 0)))  # type: ignore[no-any-return]


def write_case(folder: Path, nodes: list[dict[str, Any]], record: dict[str, Any]) -> Path:
    """A job with a recipe of these nodes, whose accepted rows are this record."""
    for name, text in PHRASES.items():
        (folder / "prompts" / name).mkdir(parents=True)
        (folder / "prompts" / name / "en.txt").write_text(text)
    (folder / "prompts/kinds.txt").write_text("{{text}} A or b?")
    texts = record if "conversation" in record else {**record, "response": "answer.text"}
    recipe = {"name": "case", "source": SOURCE, "nodes": nodes, "records": {"accepted": {"data_source": "c", **texts}}}
    (folder / "case.yaml").write_text(yaml.safe_dump(recipe))
    pools = {"llm": scripted("oasis")["llm"]}
    return write_job(folder, recipe=str(folder / "case.yaml"), prompts=str(folder / "prompts"), pools=pools)


@pytest.mark.parametrize(("nodes", "record", "expected"), CASES.values(), ids=CASES)
def test_instructions_are_compared_unless_they_are_drawn_from_phrases(
    nodes: list[dict[str, Any]], record: dict[str, Any], expected: Compared, tmp_path: Path
) -> None:
    assert compared_of(manifest(write_case(tmp_path, nodes, record))) == {"accepted": expected}


def test_what_is_compared_of_the_shipped_recipes(tmp_path: Path, job_file: Make) -> None:
    found = {"oasis": compared_of(manifest(job_file()))}
    for recipe in RECIPES:
        (tmp_path / recipe).mkdir()
        found[recipe] = compared_of(manifest(write_recipe_job(tmp_path / recipe, recipe)))
    conversations = (
        "oasis_n", "caption_conversation", "caption_conversation_as_coded", "genixer", "genixer_medium",
    )  # fmt: skip
    assert found == {
        **{recipe: {"accepted": INSTRUCTION} for recipe in RECIPES},
        **{recipe: {"accepted": INSTRUCTION, "captions": RESPONSE} for recipe in ("oasis", "oasis_repair")},
        **{recipe: {"accepted": RESPONSE} for recipe in ("caption_gen", "caption_hallucination")},
        **{recipe: {"accepted": QUESTIONS} for recipe in conversations},
    }


def test_of_a_manifest_without_text_from_phrases_are_what_a_stage_without_a_model_has_loaded(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    names = ("a phrase with a text of the input", "questions of a model")
    found = []
    for folder, name in zip(("a", "b"), names, strict=True):
        old = manifest(write_case(tmp_path / folder, *CASES[name][:2]))
        for node in old["nodes"]:
            del node["text_from"]
        found.append(compared_of(old)["accepted"])
    assert found == [RESPONSE, QUESTIONS]


def test_without_the_turns_of_records_instructions_of_accepted_rows_are_compared_and_responses_of_others(
    job_file: Make,
) -> None:
    old = {"accepted": INSTRUCTION, "captions": RESPONSE}
    assert compared_of(read_manifest(str(ROOT / "tests/fixtures/run_of_version_1/run"))) == old
    now = manifest(job_file())
    now["records"] = {name: {"route": record["route"]} for name, record in now["records"].items()}
    assert compared_of(now) == old


def test_a_run_of_an_earlier_version_is_deduplicated(tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("run", "copy")]
    for run in runs:
        shutil.copytree(ROOT / "tests/fixtures/run_of_version_1/run", run)
    summary = exported(runs, dedup="text")[1]
    assert (summary.splits, summary.left_out) == ({"train": {"accepted": 2, "captions": 1}}, {"duplicate text": 3})


def captioned(name: str, request: str, caption: str, image: bytes) -> Row:
    """An accepted row of the recipe `caption_gen`."""
    values = {"request": SimpleNamespace(text=request), "caption": SimpleNamespace(text=caption)}
    place = {"file": "s", "row_group": 0, "row": 0}
    return Row(name, place, {"bytes": image, "path": None}, name * 64, values=values)


def test_captions_that_answer_the_same_phrase_are_no_duplicates(make: Make) -> None:
    rows = [
        captioned("a", "Describe it.", "A field.", IMAGES[0]), captioned("b", "Describe it.", "A lake.", IMAGES[1]),
        captioned("c", "What do you see?", "a  FIELD.", IMAGES[2]),
    ]  # fmt: skip
    names, summary = exported(make(rows, recipe="caption_gen"), dedup="text")
    assert (len({*names} & {"a", "c"}), "b" in names) == (1, True)
    assert summary.left_out == {"duplicate text": 1}


DRAWN = {**RECIPE, "nodes": [{**RECIPE["nodes"][0], "inputs": {}}, RECIPE["nodes"][1]]}
TALKS = [
    talk("a", turns("Hi", "1", "Why?", "2")), talk("b", turns("Hi", "1", "How?", "2", system="Be short.")),
    talk("c", turns("hi", "3", "WHY?", "4")), talk("d", turns("Hi", "1")), talk("e", turns("Hi Why?", "1", "2", "2")),
]  # fmt: skip
GROUPS = {
    "from the input": (RECIPE, [{"a", "c"}, {"b"}, {"d"}, {"e"}]),
    "made from nothing": (DRAWN, [{"a", "b", "e"}, {"c"}, {"d"}]),
}


@pytest.mark.parametrize(("recipe", "groups"), GROUPS.values(), ids=GROUPS)
def test_all_questions_or_all_answers_of_conversations_are_compared(
    recipe: dict[str, Any], groups: list[set[str]], tmp_path: Path
) -> None:
    names, summary = exported(write_talks(tmp_path / "runs", TALKS, **recipe | {"name": "talks"}), dedup="text")
    assert [len({*names} & group) for group in groups] == [1] * len(groups)
    assert summary.left_out == {"duplicate text": len(TALKS) - len(groups)}


def test_turns_that_are_not_in_turn_are_compared_by_their_speaker(tmp_path: Path) -> None:
    odd = [turns("Hi", "1", "Why?"), [*turns("Hi", "1"), *turns("Why?")], turns("Hi", "2", "So?")]
    rows = [talk(f"t{at}", said) for at, said in enumerate(odd)]
    names, _ = exported(write_talks(tmp_path / "runs", rows), dedup="text")
    assert (len({*names} & {"t0", "t1"}), "t2" in names) == (1, True)
    said = [{"from": who, "value": text} for who, text in (("gpt", "1"), ("human", "<image>\nHi"), ("human", "Ho"))]
    assert sides("Hi <image>", "1", said) == (["Hi <image>", "Ho"], ["1"])


def test_where_the_instruction_is_of_either_kind_both_texts_must_be_the_same() -> None:
    texts = {one: one.text(["q", "r"], ["a", "b"]) for one in (QUESTIONS, ANSWERS, BOTH)}
    assert texts == {QUESTIONS: "q\0r", ANSWERS: "a\0b", BOTH: "q\0r\0a\0b"}


def test_a_cap_by_language_reads_all_turns_of_a_conversation(tmp_path: Path) -> None:
    english = "The house stands beside the road and people walk past it."
    german = "Das Haus steht neben der Straße und viele Menschen gehen vorbei."
    rows = [talk(f"e{n}", turns("Hi", f"{n}", "More?", english)) for n in range(3)]
    rows += [talk(f"d{n}", turns("Hi", f"{n}", "More?", german)) for n in range(3)]
    names, summary = exported(write_talks(tmp_path / "runs", rows), caps=["language=2"])
    assert [sum(name[0] == letter for name in names) for letter in "ed"] == [2, 2]
    assert summary.left_out == {"more than 2 per language": 2}


def test_the_card_measures_all_exchanges_of_conversations(tmp_path: Path) -> None:
    german = "Das Haus steht neben der Straße und viele Menschen gehen vorbei."
    rows = [
        talk("a", turns("Was?", "Das.", "Und was ist noch da?", german, system="Be short.")),
        view("b", "q", "Eins, zwei."),
    ]
    for name, some in (("several", rows), ("one", rows[1:])):
        card = (exported(write_talks(tmp_path / name, some), "hf", images="none")[1].folder / "README.md").read_text()
        sentence = "A conversation of several exchanges counts with each of its questions and answers.\n"
        lengths = [line for line in card.splitlines() if line.startswith(("| instruction |", "| response |"))]
        expected = {
            "several": (["| instruction | 1 | 4 | 5 |", "| response | 2 | 10 | 11 |"], True),
            "one": (["| instruction | 1 | 1 | 1 |", "| response | 2 | 2 | 2 |"], False),
        }
        assert (lengths, sentence in card) == expected[name]
        assert ("de 50.0%" in card) == (name == "several")


def test_the_help_says_what_is_compared() -> None:
    shown = " ".join(CliRunner().invoke(app, ["export", "--help"], terminal_width=400).output.split())
    assert "text compares the instructions, or the responses where the instruction is a phrase drawn at random" in shown
