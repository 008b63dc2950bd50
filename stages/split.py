"""Split: divides a text into lines, paragraphs or sentences, without the numbering and the bullets of a list.

MM-INF's recipes caption_conversation and caption_hallucination divide questions and captions so, at line ends alone.
"""

import re
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from pydantic import Field, model_validator

from oasis_ray.stage import REJECTED, Divert, RowStage

HAN = "一二三四五六七八九十百"
# "-5", "**bold**", "3.5" and "三、四个人" (three or four people) have no marker.
BULLET = r"(?:[*+–]\s+|-(?:\s+|(?=[^\W\d_]))|[•‣◦▪●·]\s*)"
NUMBER = (
    rf"(?:\d{{1,3}}[.．)）、](?!\d)|[(（](?:\d{{1,3}}|[{HAN}]{{1,3}})[)）]|[①-⑳]|[{HAN}]{{1,3}}、(?![{HAN}])"
    rf"|(?:第\s*[\d{HAN}]{{1,3}}\s*[题題问問点點条條段句]|(?:Question|Q|问题|問題)\s*[\d{HAN}]{{1,3}})\s*[.．:：、](?!\d))"
)
MARKER = re.compile(rf"\s*{BULLET}?(?:(\*\*)?{NUMBER}(?(1)\*\*)\s*)?", re.IGNORECASE)

STOP, CLOSE = r".!?\u2026\u061f\u06d4\u0964", r"[\"'\u2019\u201d\u00bb)\]\u300d\u300f\uff09\u3011\u300b*_]*+"
END = re.compile(  # Chinese and Japanese have no space after a sentence, and と after a quoted one
    rf"(?<![{STOP}])(?P<stop>[{STOP}]++){CLOSE}(?=\s++(?P<next>\S))"
    rf"|[。！？｡]++[。！？｡!?…]*+{CLOSE}(?![と、，,])|(?<=[\u3040-\u9fff])[!?]++(?=[\u3040-\u9fff])"
)
WORD = re.compile(r"[^\W\d_]+(?:\.[^\W\d_]+)*\Z")
TITLES = {"mr", "mrs", "ms", "dr", "prof", "st", "mt", "vs"}


@dataclass(frozen=True, slots=True)
class In:
    """Any text."""

    text: str


@dataclass(frozen=True, slots=True)
class Out:
    """The parts, in order."""

    parts: list[str]


class Split(RowStage[In, Out]):
    """Divides a text. Parts without a letter or digit are dropped; too few or too many parts reject the row."""

    by: Literal["line", "paragraph", "sentence"] = Field(description="What a part is. Empty lines end a paragraph.")
    at_least: int = Field(1, ge=1, description="Reject texts with fewer parts.")
    at_most: int | None = Field(None, ge=1, description="Reject texts with more parts.")

    @model_validator(mode="after")
    def _in_reach(self) -> "Split":
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"at_most {self.at_most} is less than at_least {self.at_least}")
        return self

    def apply(self, row: In) -> Out | Divert:
        """Return the parts, or reject the row."""
        lines = [MARKER.sub("", line, count=1).strip() for line in row.text.splitlines()]
        if self.by == "paragraph":
            lines = ["\n".join(group) for _, group in groupby(lines, key=bool)]
        elif self.by == "sentence":
            lines = [sentence for line in lines for sentence in _sentences(line)]
        parts = [part for part in lines if any(map(str.isalnum, part))]
        if len(parts) < self.at_least:
            return Divert(REJECTED, "too_few_parts", row.text)
        if self.at_most is not None and len(parts) > self.at_most:
            return Divert(REJECTED, "too_many_parts", row.text)
        return Out(parts)


def _sentences(line: str) -> list[str]:
    sentences, start = [], 0
    for end in END.finditer(line):
        if end["next"] is None or not (end["next"].islower() or _abbreviated(line, end)):
            sentences.append(line[start : end.end()].strip())
            start = end.end()
    return [*sentences, line[start:].strip()]


def _abbreviated(line: str, end: re.Match[str]) -> bool:
    """Whether a full stop belongs to its word: "Mr. Smith", "J. Smith", "the U.S. flag", "No. 5"."""
    word = WORD.search(line, max(0, end.start() - 12), end.start())
    if word is None or end["stop"] != ".":
        return False
    number = end["next"].isdigit() and word[0].lower() in {"no", "fig"}
    return number or "." in word[0] or word[0].lower() in TITLES or (len(word[0]) == 1 and word[0] not in "I")
