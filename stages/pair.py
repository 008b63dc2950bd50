"""Pair a caption with a request for a detailed description (Oasis, arXiv 2503.08741, caption recycling)."""

from dataclasses import dataclass
from hashlib import sha256

from pydantic import model_validator

from oasis_ray.stage import PhrasesField, RowStage


@dataclass(frozen=True, slots=True)
class In:
    """A caption and its language, and whether that is sure."""

    caption: str
    language: str
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Out:
    """The request that the caption answers."""

    instruction: str


class Pair(RowStage[In, Out]):
    """Takes one of the phrases in the caption's language, else in English. The caption's digest draws it."""

    phrases: PhrasesField
    fallback: str = "en"

    @model_validator(mode="after")
    def _can_fall_back(self) -> "Pair":
        if not self.phrases.languages.get(self.fallback):
            raise ValueError(f"there are no phrases in the fallback {self.fallback!r}")
        return self

    def apply(self, row: In) -> Out:
        """A phrase; the same caption always gets the same."""
        spoken = self.phrases.languages
        wanted = row.language if row.language in spoken else row.language.partition("-")[0]
        choices = spoken.get(wanted if row.sure else self.fallback) or spoken[self.fallback]
        draw = int.from_bytes(sha256(row.caption.encode()).digest()[:8], "big")
        return Out(choices[draw % len(choices)])
