"""What of a recipe's work is right: its texts, before the recipe's filters and after them, held against the scenes."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.recipes.rows import scene_of, texts_of
from benchmarks.world.oracle import flaw, is_right, read_caption, wellformed
from benchmarks.world.scene import Scene

Row = dict[str, Any]
Marks = Iterator[bool]


@dataclass(frozen=True)
class Truth:
    """What is counted, and for a row whether each of it is right: `before` for every row that got so far, `after` for
    the accepted ones.
    """

    counted: str
    before: Callable[[Row, Scene], Marks]
    after: Callable[[Row, Scene], Marks]


def node(row: Row, name: str, field: str) -> Any:
    """The value of a node's field; None where the row did not get there."""
    return (row["nodes"].get(name) or {}).get(field)


def true_caption(scene: Scene, text: str) -> bool:
    """Whether a text consists of statements about the image, and all of them are true."""
    return wellformed(scene, text) and all(sentence.true for sentence in read_caption(scene, text))


def exchanges(row: Row) -> list[tuple[str, str]]:
    """The questions and answers of a record."""
    said = [turn["value"].removeprefix("<image>\n") for turn in row["conversations"]]
    return list(zip(said[::2], said[1::2], strict=True))


def _captions(row: Row, scene: Scene) -> Marks:
    text = node(row, "caption", "text")
    return iter(() if text is None else (true_caption(scene, text),))


def _sampled_questions(row: Row, scene: Scene) -> Marks:
    asked = [kind["instruction"] for kind in row["nodes"].get("kind") or () if kind and kind["instruction"]]
    return (flaw(scene, text) == "good" for text in asked)


def _written_questions(row: Row, scene: Scene) -> Marks:
    return (flaw(scene, text) == "good" for text in node(row, "questions", "parts") or ())


def _asked(row: Row, scene: Scene) -> Marks:
    return (flaw(scene, asked) == "good" for asked, _ in exchanges(row))


def _first_wording(row: Row, scene: Scene) -> Marks:
    text = node(row, "categorize", "instruction")
    return iter((flaw(scene, text) == "good",) if text else ())


def _answered(row: Row, scene: Scene) -> Marks:
    return (is_right(scene, asked, said) for asked, said in exchanges(row))


def _inquired(row: Row, scene: Scene) -> Marks:
    text = node(row, "inquire", "text")
    return iter(() if text is None else (is_right(scene, text, texts_of("detailed_inst", int(row["id"]))["caption"]),))


def _given_pair(row: Row, scene: Scene) -> Marks:
    texts = texts_of("prompt_evolve", int(row["id"]))
    return iter((is_right(scene, texts["instruction"], texts["response"]),))


def _reasoned(row: Row, scene: Scene) -> Marks:
    answer, question = node(row, "rewritten", "answer"), texts_of("vl_thinking", int(row["id"]))["question"]
    return iter(() if answer is None else (is_right(scene, question, answer),))


def _scored(name: str) -> Callable[[Row, Scene], Marks]:
    def marks(row: Row, scene: Scene) -> Marks:
        score, texts = node(row, name, "score"), texts_of("match_score", int(row["id"]))
        right = is_right(scene, texts["instruction"], texts["response"])
        return iter(() if score is None else ((score >= 7) == right,))

    return marks


OASIS = Truth("instructions", _first_wording, _asked)
QUESTIONS = Truth("questions", _sampled_questions, _asked)
CAPTIONS = Truth("captions", _captions, _captions)
ANSWERS = Truth("answers", _reasoned, _reasoned)
TRUTHS = {
    "oasis": OASIS,
    "oasis_n": QUESTIONS,
    "oasis_repair": OASIS,
    "caption_gen": CAPTIONS,
    "caption_hallucination": CAPTIONS,
    "caption_conversation": QUESTIONS,
    "caption_conversation_as_coded": Truth("questions", _written_questions, _asked),
    "detailed_inst": Truth("questions", _inquired, _inquired),
    "match_score": Truth("scores", _scored("match"), _scored("match")),
    "match_score_as_coded": Truth("scores", _scored("match_text"), _scored("match_text")),
    "prompt_evolve": Truth("pairs", _given_pair, _answered),
    "vl_thinking": ANSWERS,
    "vl_thinking_captioned": ANSWERS,
}


def before(recipe: str, rows: dict[str, list[Row]]) -> list[bool]:
    """Whether each text was right before the filters, of the rows of all outcomes."""
    return _of((row for outcome in rows.values() for row in outcome), TRUTHS[recipe].before)


def after(recipe: str, rows: dict[str, list[Row]]) -> list[bool]:
    """Whether each text of the accepted records is right."""
    return _of(rows["accepted"], TRUTHS[recipe].after)


def answered(rows: dict[str, list[Row]]) -> list[bool]:
    """Whether each answer of the accepted records is right."""
    return _of(rows["accepted"], _answered)


def repaired(rows: dict[str, list[Row]]) -> list[bool]:
    """Whether the instruction of each accepted record that was reworded is right."""
    return _of((row for row in rows["accepted"] if row["moves"]), _asked)


def _of(rows: Iterable[Row], marks: Callable[[Row, Scene], Marks]) -> list[bool]:
    return [mark for row in rows for mark in marks(row, scene_of(int(row["id"])))]
