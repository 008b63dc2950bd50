"""Language: detects the language of a text. A caption is paired with a request in its language."""

from dataclasses import dataclass

from pydantic import Field

from oasis_ray.stage import MIN_CHARS, MIN_PROBABILITY, RowStage, detect


@dataclass(frozen=True, slots=True)
class In:
    """Any text."""

    text: str


@dataclass(frozen=True, slots=True)
class Out:
    """The language (ISO 639-1 as langdetect writes it, `und` if none is found), and whether it is certain."""

    language: str
    sure: bool


class Language(RowStage[In, Out]):
    """Detects the language. Short texts are never certain, because langdetect guesses on them."""

    min_chars: int = Field(MIN_CHARS, ge=0, description="Shorter texts are not certain.")
    min_probability: float = Field(MIN_PROBABILITY, ge=0, le=1, description="Less likely languages are not certain.")

    def apply(self, row: In) -> Out:
        """Return the most likely language."""
        language, sure = detect(row.text, self.min_chars, self.min_probability)
        return Out(language, sure)
