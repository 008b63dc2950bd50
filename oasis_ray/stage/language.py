"""Name the language of a text with langdetect, as the paper's statistics do. Seeded: unseeded, langdetect is random."""

from langdetect import DetectorFactory, detect_langs
from langdetect.lang_detect_exception import LangDetectException

DetectorFactory.seed = 0

MIN_CHARS = 20
MIN_PROBABILITY = 0.9


def detect(text: str, min_chars: int = MIN_CHARS, min_probability: float = MIN_PROBABILITY) -> tuple[str, bool]:
    """The likeliest language (ISO 639-1 as langdetect writes it, `und` where it finds none), and whether that is sure.

    Short texts are never sure: langdetect guesses on them.
    """
    try:
        likeliest = detect_langs(text)[0]
    except LangDetectException:  # no letters in it
        return "und", False
    return str(likeliest.lang), likeliest.prob >= min_probability and len(text.strip()) >= min_chars
