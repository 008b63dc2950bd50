"""Pair: adds to a caption a request for a detailed description (Oasis, arXiv 2503.08741, caption recycling)."""

from dataclasses import dataclass
from hashlib import sha256

from pydantic import Field, model_validator

from oasis_ray.stage import PhrasesField, RowStage


@dataclass(frozen=True, slots=True)
class In:
    """A caption, its language, and whether the language is certain."""

    caption: str
    language: str
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Out:
    """The request that the caption answers."""

    instruction: str


class Pair(RowStage[In, Out]):
    """Chooses a phrase in the language of the caption, or else in English, by the digest of the caption."""

    phrases: PhrasesField = Field(description="The folder of phrases, with a file for each language.")
    fallback: str = Field("en", description="The language where the caption's has no phrase, or is not certain.")

    @model_validator(mode="after")
    def _fallback_exists(self) -> "Pair":
        if not self.phrases.languages.get(self.fallback):
            raise ValueError(f"there are no phrases in the fallback language {self.fallback!r}")
        return self

    def apply(self, row: In) -> Out:
        """Return a phrase; the same caption always gets the same phrase."""
        choices = self.phrases.in_language(row.language if row.sure else self.fallback, self.fallback)
        number = int.from_bytes(sha256(row.caption.encode()).digest()[:8], "big")
        return Out(choices[number % len(choices)])
