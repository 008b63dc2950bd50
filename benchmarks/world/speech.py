"""Turn phrases into text and text back into what it says: one grammar for writing and for reading."""

import re
from dataclasses import dataclass
from functools import cache

from benchmarks.world.phrases import CAPTIONS, CHART, LANGUAGES, NAMES, REQUESTS, UNCLEAR, UNSOLVABLE
from benchmarks.world.scene import COLORS, PLACES, SHAPES, SIZES, VALUES, WORDS, Scene, Thing

INNER = {"shape": SHAPES, "color": COLORS, "size": SIZES, "place": PLACES, "count": (1, 2, 3, 4)}
SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its kind (a key of REQUESTS, `unsolvable` or `unclear`), wording, language, and what it names."""

    kind: str
    wording: int
    language: str
    color: str = ""
    shape: str = ""
    value: int = 0

    @property
    def phrase(self) -> str:
        """The wording with its slots still open."""
        if self.kind == "unsolvable":
            return UNSOLVABLE[self.language][self.wording]
        if self.kind == "unclear":
            return UNCLEAR[self.language][self.wording]
        return REQUESTS[self.kind][self.language][self.wording]

    def say(self) -> str:
        """The request as text."""
        return fill(self.phrase, self.language, color=self.color, shape=self.shape, value=self.value)


def pieces(phrase: str, language: str, **values: object) -> list[str]:
    """The words of a filled phrase."""

    def word(slot: re.Match[str]) -> str:
        name, value = slot[1], values[slot[1]]
        return NAMES[language][name][INNER[name].index(value)] if name in INNER else str(value)  # type: ignore[arg-type]

    return SLOT.sub(word, phrase).split(" ")


def fill(phrase: str, language: str, **values: object) -> str:
    """The filled phrase as it is written in its language."""
    return gap(language).join(pieces(phrase, language, **values))


def gap(language: str) -> str:
    """What stands between words."""
    return "" if language == "zh" else " "


@cache
def _pattern(phrase: str, language: str) -> re.Pattern[str]:
    """A pattern with a group a slot."""

    def group(name: str) -> str:
        choices = NAMES[language].get(name) or {"word": WORDS, "value": map(str, VALUES)}[name]
        return f"(?P<{name}>{'|'.join(map(re.escape, choices))})"

    text = phrase.replace(" ", "") if language == "zh" else phrase
    parts = SLOT.split(text)  # text, name, text, name, …
    return re.compile("".join(group(part) if n % 2 else re.escape(part) for n, part in enumerate(parts)))


def match(phrase: str, language: str, text: str) -> dict[str, object] | None:
    """What stands in the slots where `text` is this phrase, in the scene's own terms, else None."""
    found = _pattern(phrase, language).fullmatch(text)
    if found is None:
        return None
    values: dict[str, object] = {}
    for name, said in found.groupdict().items():
        if name in INNER:
            values[name] = INNER[name][NAMES[language][name].index(said)]
        else:
            values[name] = int(said) if name == "value" else said
    return values


def read_request(text: str) -> Request | None:
    """The request that a text is, or None where it is none of this world."""
    for language in LANGUAGES:
        for kind, phrases in [
            *((k, p[language]) for k, p in REQUESTS.items()),
            ("unsolvable", UNSOLVABLE[language]),
            ("unclear", UNCLEAR[language]),
        ]:
            for wording, phrase in enumerate(phrases):
                values = match(phrase, language, text)
                if values is not None:
                    return Request(kind, wording, language, **values)  # type: ignore[arg-type]
    return None


def describe(thing: Thing, language: str) -> str:
    """What a caption says of a thing."""
    return tell(CAPTIONS[thing.kind][language], thing, language)


def tell(phrase: str, thing: Thing, language: str) -> str:
    """The phrase about this thing."""
    return fill(
        phrase,
        language,
        color=thing.color,
        shape=thing.shape,
        size=thing.size,
        place=thing.place,
        word=thing.word,
        value=thing.value,
    )


def caption(scene: Scene, language: str) -> list[str]:
    """The sentences of a true caption, a thing a sentence, in the order of reading."""
    opening = [fill(CHART[language], language)] if scene.bars else []
    return opening + [describe(thing, language) for thing in scene.things]
