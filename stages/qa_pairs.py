"""Qa_pairs: reads questions and their answers out of a reply, which has labels (`Question:`, `Answer:`) or is JSON.

Genixer (arXiv 2312.06731) generates labelled pairs. Its judge reads the words of an option in place of the letter:
`stems` and `spoken`. No pair is left out; what stands before the first label or around the JSON is, and a divider or a
heading between two pairs.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from oasis_ray.stage import FAILED, REJECTED, Divert, RowStage

from .options import MARKS, divided, spoken_as

NUMBER, STOP = r"[(（]?\d{1,3}[.．)）、:：]*", r".?!。？！"
LABEL = re.compile(
    rf"(?:(?P<line>^[ \t]*(?:[>#•·+*-]+[ \t]+)*(?:{NUMBER}[ \t]*)?)|(?<=\s)|(?<=[{STOP}]))"
    rf"(?P<bold>[*_]{{1,3}})?(?(line)(?:{NUMBER}[*_ \t]*)?)"
    r"(?:(?:correct|right|final|short|sample|example|next|follow-up|multiple[- ]choice)[ \t]+)?"
    r"(?P<word>question|answer|[qa]|问题|問題|回答|答案|[问問答])"
    r"[ \t]*+(?:[#(（]?(?:\d{1,3}|[一二三四五六七八九十]{1,3})[)）]?)?[*_]{0,3}[ \t]*[:：](?(bold)[*_]{0,3})",
    re.IGNORECASE | re.MULTILINE,
)
BETWEEN = re.compile(r"[-*_=]{3,}|#{1,6} .*|")  # lines between two pairs: dividers, headings, empty ones
JSON = re.compile(r"\[\s*[{\]]|\{\s*[\"']")  # a list of objects, an empty list, or an object
EMPTY = f"{MARKS}-–—"  # what is left of an empty answer


@dataclass(frozen=True, slots=True)
class In:
    """A reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Out:
    """The pairs in order, and for a judge each question without its options, and each answer in an option's words."""

    questions: list[str]
    answers: list[str]
    stems: list[str]
    spoken: list[str]


class QaPairs(RowStage[In, Out]):
    """Reads pairs. Broken replies fail; empty questions and answers, and too few or too many pairs, reject the row."""

    form: Literal["labelled", "json"] = Field(
        description="`labelled`: `Question: … Answer: …`, also `Q:` and `A:`, `问题：` and `回答：`, numbered or bold. "
        "`json`: a list of objects with the keys `question` and `answer`, also as the one list of an object."
    )
    at_least: int = Field(1, ge=1, description="Reject replies with fewer pairs.")
    at_most: int | None = Field(None, ge=1, description="Reject replies with more pairs.")

    @model_validator(mode="after")
    def _in_reach(self) -> "QaPairs":
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"at_most {self.at_most} is less than at_least {self.at_least}")
        return self

    def apply(self, row: In) -> Out | Divert:
        """Return the pairs, or divert the row."""
        pairs = _labelled(row.text) if self.form == "labelled" else _from_json(row.text)
        if isinstance(pairs, Divert):
            return pairs
        if not all(question.strip(EMPTY) for question, _ in pairs):
            return Divert(REJECTED, "empty_question", row.text)
        if not all(answer.strip(EMPTY) for _, answer in pairs):
            return Divert(REJECTED, "empty_answer", row.text)
        if len(pairs) < self.at_least:
            return Divert(REJECTED, "too_few_pairs", row.text)
        if self.at_most is not None and len(pairs) > self.at_most:
            return Divert(REJECTED, "too_many_pairs", row.text)
        stems, options = zip(*(divided(question) for question, _ in pairs), strict=True)
        answers = [answer for _, answer in pairs]
        spoken = [spoken_as(answer, of_it) for answer, of_it in zip(answers, options, strict=True)]
        return Out([question for question, _ in pairs], answers, list(stems), spoken)


def _labelled(text: str) -> list[tuple[str, str]] | Divert:
    """Return the pairs of a labelled reply, or why it has none."""
    labels = _labels(text)
    if not labels:
        return Divert(FAILED, "no_label", text)
    numbered = labels[0][0].lstrip("# *_>-(（")[:1].isdigit()
    texts, ends = list[str](), [*(label.start() for label in labels[1:]), len(text)]
    for place, (label, end) in enumerate(zip(labels, ends, strict=True)):
        asks, said = label["word"][0].lower() in "q问問", text[label.end() : end]
        if asks and place % 2:
            return Divert(FAILED, "question_without_answer", text)
        if not asks and place % 2 == 0:
            return Divert(FAILED, "answer_without_question", text)
        if label["word"] in "Aa" and re.search(r"^[ \t]*B[:：]", said, re.MULTILINE):
            return Divert(FAILED, "question_without_answer", text)  # `A:` was an option
        if numbered and place % 2 and end < len(text) and labels[place + 1]["line"] is None:
            said = re.sub(rf"\s[(（]?{place // 2 + 2}[.)）、]\s*\Z", "", said)  # the number of the next pair
        texts.append(_trimmed(said))
    if len(texts) % 2:
        return Divert(FAILED, "question_without_answer", text)
    return list(zip(texts[::2], texts[1::2], strict=True))


def _labels(text: str) -> list[re.Match[str]]:
    """Return the labels: at the beginning of a line, or within one if they can't be meant otherwise.

    Where `Question` or `Answer` are labels, `A:` is an option.
    """
    found = []
    for label in LABEL.finditer(text):
        word, before = label["word"], text[max(0, label.start() - 2) : label.start()]
        within = before[:1] in STOP and before[1:].isspace() if len(word) == 1 and word.isascii() else True
        if label["line"] is not None or (not word[0].islower() and within):
            found.append(label)
    words = {label["word"].lower() for label in found}
    shadowed = {"question": {"q", "a"}, "answer": {"a"}}
    dropped = {short for word, shorts in shadowed.items() if word in words for short in shorts}
    return [label for label in found if label["word"].lower() not in dropped]


def _trimmed(text: str) -> str:
    """Return a text without what stands between two pairs, and without the end of a bold text or of a code fence."""
    lines = text.strip().split("\n")
    while len(lines) > 1 and BETWEEN.fullmatch(lines[-1].strip()):
        lines.pop()
    text = "\n".join(lines).strip()
    for mark in ("```", "**"):
        if text.endswith(mark) and text.count(mark) % 2:
            text = text.removesuffix(mark).rstrip()
    return text


def _from_json(text: str) -> list[tuple[str, str]] | Divert:
    """Return the pairs of all JSON in a reply, or why it has none."""
    decoder, found, at = json.JSONDecoder(object_pairs_hook=_object, strict=False), list[Any](), 0
    while start := JSON.search(text, at):
        try:
            value, at = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            return Divert(FAILED, "invalid_json", text)
        if isinstance(value, dict) and not {"question", "answer"} & {*value}:
            lists = [one for one in value.values() if isinstance(one, list)]
            value = lists[0] if len(lists) == 1 else value
        found += value if isinstance(value, list) else [value]
    if not at:
        return Divert(FAILED, "invalid_json", text)
    if not all(isinstance(one, dict) and {"question", "answer"} <= {*one} for one in found):
        return Divert(FAILED, "key_missing", text)
    if not all(isinstance(one[key], str) for one in found for key in ("question", "answer")):
        return Divert(FAILED, "value_not_text", text)
    if not all(len(one) == 2 for one in found):
        return Divert(FAILED, "key_unknown", text)
    return [(one["question"].strip(), one["answer"].strip()) for one in found]


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON with its keys in lower case; of two equal keys json would drop one."""
    found = {key.strip().lower(): value for key, value in pairs}
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found
