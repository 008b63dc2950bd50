"""Phrase: draws one of several phrases with one meaning, in the row's language, and fills its slots.

The request of a row, such as one for a description, then varies over a data set, as Genixer (arXiv 2312.06731) and
LLaVA (arXiv 2304.08485) vary theirs.
"""

from dataclasses import dataclass, field

from pydantic import Field, model_validator

from oasis_ray.stage import Chance, PhrasesField, Prompt, RowStage, Slots


@dataclass(frozen=True, slots=True)
class In:
    """The language, whether it is certain, the texts that the phrases read, and the draw."""

    language: str = ""
    sure: bool = True
    texts: Slots = field(default_factory=Slots)
    chance: Chance = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Out:
    """The phrase."""

    text: str


class Phrase(RowStage[In, Out]):
    """Draws a phrase in the row's language, or else in the fallback language."""

    phrases: PhrasesField = Field(description="The folder of phrases, with a file for each language.")
    fallback: str = Field("en", description="The language where the row's own has no phrase, or is not certain.")

    @model_validator(mode="after")
    def _fallback_exists(self) -> "Phrase":
        if not self.phrases.languages.get(self.fallback):
            known = ", ".join(language for language, texts in self.phrases.languages.items() if texts)
            raise ValueError(f"there are no phrases in the fallback language {self.fallback!r} (there are: {known})")
        return self

    @property
    def text_from(self) -> tuple[str, ...]:
        """The texts that fill slots; the name of a language is none."""
        return tuple(slot for slot in super().text_from or () if slot != "language")

    def apply(self, row: In) -> Out:
        """Return a phrase: a row gets the same one in each run with the same seed."""
        phrases = self.phrases.in_language(row.language if row.sure else self.fallback, self.fallback)
        drawn = phrases[int(row.chance * len(phrases))]
        return Out(Prompt(self.phrases.name, drawn).fill({**row.texts, "language": row.language}))
