"""Clean: removes garbage from a caption by rules, before a judge sees it (Oasis, arXiv 2503.08741, caption recycling).

Removes special tokens and image placeholders, control and private-use characters, mojibake, repeated fragments, and an
incomplete last sentence.
"""

import re
import unicodedata
from dataclasses import dataclass

from pydantic import Field

from oasis_ray.stage import REJECTED, Divert, RowStage

SPECIAL = re.compile(r"<\|[^|<>\n]{1,40}\|>|</?(?:s|image|img|pad|unk|box|ref|quad|bos|eos)>", re.IGNORECASE)
NESTED = 4
MOJIBAKE = re.compile(
    r"(?:[ÃÂ][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
    r"|â[\u0080-\u00bf€][\u0080-\u00bf™œž“”˜¦]?|ï¿½)+"
)
# A fragment of 1 to 80 characters that occurs at least four times in a row.
LOOP = re.compile(r"(.{1,80}?)\1{3,}", re.DOTALL)
STOP = r".!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964"  # including ideographic, Arabic, Urdu and Hindi ones
CLOSE = r"[\"'\u2019\u201d)\]\u300d\u300f\uff09\u3011\u300b\u00bb*_]*"  # quotes and brackets that may follow
SENTENCE = re.compile(rf"(?:[^{STOP}\n]|[.!?](?![{STOP}\s]|{CLOSE}(?:\s|$)))*+(?:[{STOP}]+{CLOSE}\s*|\n+)|[^\n]+|\n+")
END = re.compile(rf"[{STOP}]{CLOSE}$")
INNER_END = re.compile(rf"(?<!^\d)(?<!\n\d)[{STOP}]{CLOSE}(?=\s)|[\u3002\uff01\uff1f]{CLOSE}")
SHORT = 12  # up to this length, repetitions are normal: "Mr.", "10000"
UNWANTED = {"Cc", "Cf", "Co", "Cn", "Cs"}
JOINERS = "\u200c\u200d"  # needed in some scripts


@dataclass(frozen=True, slots=True)
class In:
    """A caption, as a model wrote it."""

    text: str


@dataclass(frozen=True, slots=True)
class Out:
    """The cleaned caption, and the share of characters removed (0 to 1)."""

    text: str
    removed: float


class Clean(RowStage[In, Out]):
    """Cleans a caption. Rejects captions that are too short or were mostly garbage."""

    min_chars: int = Field(40, ge=1, description="Reject shorter captions; a CJK character counts as three.")
    max_removed: float = Field(0.5, ge=0, le=1, description="Reject captions from which a larger share was removed.")

    def apply(self, row: In) -> Out | Divert:
        """Return the cleaned caption, or reject it."""
        text = unicodedata.normalize("NFC", row.text)
        length = max(1, len(text))
        text = MOJIBAKE.sub("", text)
        text = "".join(c for c in text if c in "\n\t" or c in JOINERS or unicodedata.category(c) not in UNWANTED)
        text = _without_special(text.replace("\ufffd", ""))
        text = _without_special(LOOP.sub(_once, text))  # a loop inside a special token may have hidden it
        text = _whole_sentences(_without_repeats(text))
        text = re.sub(r"[ \t]+", " ", re.sub(r"(?<!\s)[^\S\n]*\n(?:[^\S\n]*\n)+\s*", "\n\n", text)).strip()
        removed = 1 - len(text) / length
        if _length(text) < self.min_chars:
            return Divert(REJECTED, "caption_too_short", text)
        if removed > self.max_removed:
            return Divert(REJECTED, "caption_mostly_garbage", text)
        return Out(text, round(max(0.0, removed), 3))


def _without_special(text: str) -> str:
    """Remove special tokens, nested ones too. Of tokens nested more deeply only the brackets are removed."""
    for _ in range(NESTED):
        text, removed = SPECIAL.subn("", text)
        if not removed:
            return text
    return re.sub("[<>]", "", text)


def _once(loop: re.Match[str]) -> str:
    """Return a repeated fragment once. Ruled lines ("....") and short runs of digits ("10000") are kept."""
    whole, fragment = loop[0], loop[1]
    is_loop = fragment.strip(" .-_=*·…\n\t") and (len(whole) > SHORT or any(map(str.isalpha, fragment)))
    return fragment if is_loop else whole


def _without_repeats(text: str) -> str:
    """Remove repeated sentences."""
    seen: set[str] = set()
    kept = []
    for sentence in SENTENCE.findall(text):
        key = " ".join(sentence.split()).casefold()
        if len(key) < SHORT or key not in seen:
            kept.append(sentence)
        seen.add(key)
    return "".join(kept)


def _whole_sentences(text: str) -> str:
    """Cut the text after its last complete sentence; a text without one stays unchanged."""
    text = text.rstrip()
    if END.search(text):
        return text
    ends = list(INNER_END.finditer(text))
    return text[: ends[-1].end()] if ends else text


def _length(text: str) -> int:
    """Return the length in characters. A CJK character counts as three, since it carries about as much meaning."""
    return sum(3 if "\u3040" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7af" else 1 for c in text)
