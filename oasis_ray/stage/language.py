"""Language detection with langdetect, as in the paper's statistics. Seeded, because langdetect is random by default."""

from langdetect import DetectorFactory, detect_langs
from langdetect.lang_detect_exception import LangDetectException

DetectorFactory.seed = 0

MIN_CHARS = 20
MIN_PROBABILITY = 0.9


def detect(text: str, min_chars: int = MIN_CHARS, min_probability: float = MIN_PROBABILITY) -> tuple[str, bool]:
    """Return the most likely language (ISO 639-1 as langdetect writes it; `und` if none), and whether it is certain.

    Short texts are never certain, because langdetect guesses on them.
    """
    try:
        best = detect_langs(text)[0]
    except LangDetectException:  # the text has no letters
        return "und", False
    return str(best.lang), best.prob >= min_probability and len(text.strip()) >= min_chars
