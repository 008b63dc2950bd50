"""Name the language of a text with langdetect, as the paper's statistics do. Seeded: unseeded, langdetect is random."""

from dataclasses import dataclass

from langdetect import DetectorFactory, detect_langs
from langdetect.lang_detect_exception import LangDetectException
from pydantic import Field

from oasis_ray.stage import RowStage

DetectorFactory.seed = 0


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

    min_chars: int = Field(20, ge=0, description="A shorter text is not sure.")
    min_probability: float = Field(0.9, ge=0, le=1, description="A less likely language is not sure.")

    def apply(self, row: In) -> Out:
        """The likeliest language."""
        try:
            likeliest = detect_langs(row.text)[0]
        except LangDetectException:  # no letters in it
            return Out("und", sure=False)
        sure = likeliest.prob >= self.min_probability and len(row.text.strip()) >= self.min_chars
        return Out(str(likeliest.lang), sure)
