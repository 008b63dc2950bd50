"""Strip garbage from a caption by rules (Oasis, arXiv 2503.08741, caption recycling): before a judge sees it.

Taken out: special tokens and image placeholders, control and private characters, mojibake, fragments that repeat
themselves, and a tail that was cut off in the middle of a sentence.
"""

import re
import unicodedata
from dataclasses import dataclass

from pydantic import Field

from oasis_ray.stage import Divert, Route, RowStage

SPECIAL = re.compile(r"<\|[^|<>\n]{1,40}\|>|</?(?:s|image|img|pad|unk|box|ref|quad|bos|eos)>", re.IGNORECASE)
NESTED = 4
MOJIBAKE = re.compile(
    r"(?:[ÃÂ][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
    r"|â[\u0080-\u00bf€][\u0080-\u00bf™œž“”˜¦]?|ï¿½)+"
)
# A run of 1 to 80 characters that stands at least four times in a row.
LOOP = re.compile(r"(.{1,80}?)\1{3,}", re.DOTALL)
STOP = r".!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964"  # ideographic, Arabic, Urdu and Hindi ends among them
CLOSE = r"[\"'\u2019\u201d)\]\u300d\u300f\uff09\u3011\u300b\u00bb*_]*"  # quotes and brackets that may follow
SENTENCE = re.compile(rf"(?:[^{STOP}\n]|[.!?](?![{STOP}\s]|{CLOSE}(?:\s|$)))*+(?:[{STOP}]+{CLOSE}\s*|\n+)|[^\n]+|\n+")
END = re.compile(rf"[{STOP}]{CLOSE}$")
INNER_END = re.compile(rf"(?<!^\d)(?<!\n\d)[{STOP}]{CLOSE}(?=\s)|[\u3002\uff01\uff1f]{CLOSE}")
SHORT = 12  # characters that may repeat without being a fault: "Mr.", "10000"
UNWANTED = {"Cc", "Cf", "Co", "Cn", "Cs"}
JOINERS = "\u200c\u200d"  # these shape words in some scripts


@dataclass(frozen=True, slots=True)
class In:
    """A caption as a model wrote it."""

    text: str


@dataclass(frozen=True, slots=True)
class Out:
    """The cleaned caption, and the share of its characters that was taken out (0 to 1)."""

    text: str
    removed: float


class Clean(RowStage[In, Out]):
    """Cleans a caption, and rejects what is too short or was mostly garbage."""

    min_chars: int = Field(40, ge=1, description="A shorter caption is rejected; a CJK character counts as three.")
    max_removed: float = Field(0.5, ge=0, le=1, description="A caption that loses a larger share is rejected.")

    def apply(self, row: In) -> Out | Divert:
        """The cleaned caption."""
        text = unicodedata.normalize("NFC", row.text)
        whole = max(1, len(text))
        text = MOJIBAKE.sub("", text)
        text = "".join(c for c in text if c in "\n\t" or c in JOINERS or unicodedata.category(c) not in UNWANTED)
        text = _without_special(text.replace("\ufffd", ""))
        text = _without_special(LOOP.sub(_once, text))  # a loop inside a mark may have hidden it
        text = _whole_sentences(_without_repeats(text))
        text = re.sub(r"[ \t]+", " ", re.sub(r"(?<!\s)[^\S\n]*\n(?:[^\S\n]*\n)+\s*", "\n\n", text)).strip()
        removed = 1 - len(text) / whole
        if _length(text) < self.min_chars:
            return Divert(Route.REJECTED, "caption_too_short", text)
        if removed > self.max_removed:
            return Divert(Route.REJECTED, "caption_mostly_garbage", text)
        return Out(text, round(max(0.0, removed), 3))


def _without_special(text: str) -> str:
    """Without special tokens, also where taking one out makes another. What is nested deeper loses its brackets."""
    for _ in range(NESTED):
        text, found = SPECIAL.subn("", text)
        if not found:
            return text
    return re.sub("[<>]", "", text)


def _once(loop: re.Match[str]) -> str:
    """A fragment that repeats itself, once. Ruled lines ("....") and short runs of signs ("10000") are no loops."""
    whole, fragment = loop[0], loop[1]
    says_something = fragment.strip(" .-_=*·…\n\t") and (len(whole) > SHORT or any(map(str.isalpha, fragment)))
    return fragment if says_something else whole


def _without_repeats(text: str) -> str:
    """Each sentence once."""
    seen: set[str] = set()
    kept = []
    for sentence in SENTENCE.findall(text):
        key = " ".join(sentence.split()).casefold()
        if len(key) < SHORT or key not in seen:
            kept.append(sentence)
        seen.add(key)
    return "".join(kept)


def _whole_sentences(text: str) -> str:
    """Up to the last end of a sentence; a text without any stays as it is."""
    text = text.rstrip()
    if END.search(text):
        return text
    ends = list(INNER_END.finditer(text))
    return text[: ends[-1].end()] if ends else text


def _length(text: str) -> int:
    """Characters, where a CJK one counts as three: it says about as much."""
    return sum(3 if "\u3040" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7af" else 1 for c in text)
