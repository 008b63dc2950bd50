"""Read a whole user's turn: is it an instruction or a caption, which instruction, and are its words of the world?"""

import re
from functools import cache

from benchmarks.world.oracle import sentences
from benchmarks.world.pair import known_words
from benchmarks.world.speech import read_request
from benchmarks.world.turns import Turn

CJK = re.compile(r"[\u2e80-\u9fff]")


def read_turn(text: str) -> Turn:
    """The turn with its first request: one that can be read, or words with a question mark behind them."""
    for sentence in sentences(text):
        if read_request(sentence) is not None or sentence.endswith(("?", "？")):
            return Turn(text, sentence)
    return Turn(text)


def malformed(text: str) -> bool:
    """Whether a text holds anything but words of the world (in any order; a word that was cut off counts as one)."""
    words = re.sub(r"[.?!¿¡。？！，,]", " ", text).split()
    return not words or any(not _known(word) for word in words)


def _known(word: str) -> bool:
    return word in _plain() or (CJK.search(word) is not None and not set(CJK.findall(word)) - _signs())


@cache
def _plain() -> frozenset[str]:
    return frozenset(word.strip(".?!¿¡。？！，,") for word in known_words())


@cache
def _signs() -> frozenset[str]:
    return frozenset("".join(word for word in known_words() if CJK.search(word)))
