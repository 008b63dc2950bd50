"""Distinct: drops a text that is nearly the same as an earlier one of its list.

Texts are compared by the Jaccard similarity of their words, or of pairs of characters where a script writes no spaces.
"""

import re
import unicodedata
from dataclasses import dataclass

from pydantic import Field

from oasis_ray.stage import REJECTED, Divert, Position, RowStage

TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|\w+")
NO_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class In:
    """A text, the list that it is in, and its position there."""

    text: str
    texts: list[str]
    position: Position


@dataclass(frozen=True, slots=True)
class Out:
    """The text, and its highest similarity to an earlier one, from 0 to 1."""

    text: str
    similarity: float


class Distinct(RowStage[In, Out]):
    """Drops near-duplicates: the first of several stays. Case, punctuation and word order do not matter."""

    below: float = Field(0.7, gt=0, le=1, description="The similarity from which a text is dropped.")

    def apply(self, row: In) -> Out | Divert:
        """Return the text with its similarity, or reject it."""
        own = _tokens(row.text)
        similarities = [(_similarity(own, _tokens(text)), text) for text in row.texts[: row.position]]
        similarity, nearest = max(similarities, default=(0.0, ""))
        if similarity >= self.below:
            return Divert(REJECTED, "near_duplicate", f"{similarity:.2f}: {nearest}")
        return Out(row.text, similarity)


def _tokens(text: str) -> frozenset[str]:
    tokens: set[str] = set()
    for match in TOKEN.findall(unicodedata.normalize("NFKC", text).casefold()):
        if NO_SPACES.match(match) and len(match) > 1:
            tokens.update(match[place : place + 2] for place in range(len(match) - 1))
        else:
            tokens.add(match)
    return frozenset(tokens or {text.strip()})


def _similarity(first: frozenset[str], second: frozenset[str]) -> float:
    return len(first & second) / len(first | second)
