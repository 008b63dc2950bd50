"""Name the language of a text, for what must know it: a caption is paired with a request in its own."""

from dataclasses import dataclass

from pydantic import Field

from oasis_ray.stage import MIN_CHARS, MIN_PROBABILITY, RowStage, detect


@dataclass(frozen=True, slots=True)
class In:
    """Any text."""

    text: str


@dataclass(frozen=True, slots=True)
class Out:
    """The language (ISO 639-1 as langdetect writes it, `und` where it finds none), and whether that is sure."""

    language: str
    sure: bool


class Language(RowStage[In, Out]):
    """Detects the language. Short texts are never sure: langdetect guesses on them."""

    min_chars: int = Field(MIN_CHARS, ge=0, description="A shorter text is not sure.")
    min_probability: float = Field(MIN_PROBABILITY, ge=0, le=1, description="A less likely language is not sure.")

    def apply(self, row: In) -> Out:
        """The likeliest language."""
        language, sure = detect(row.text, self.min_chars, self.min_probability)
        return Out(language, sure)
