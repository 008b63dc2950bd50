"""What is true: of a request, of an answer and of a caption, given the scene.

A request has one flaw or none. Where several would fit, the first of these holds: it is `nonsense` where it can't be
read, `unclear` where nothing is named, `invented` where it takes for given what is not there, `unsolvable` where no
picture of this world shows what it asks for, else it is `good`.
"""

from dataclasses import dataclass

from benchmarks.world.phrases import ANSWERS, ASIDE, CAPTIONS, CHART, EMPTY, LANGUAGES, MISSING, SINGLE
from benchmarks.world.scene import Scene, Thing
from benchmarks.world.speech import Request, caption, fill, gap, match, read_request, tell

FLAWS = ("invented", "unsolvable", "unclear", "nonsense")
NOTHING_GIVEN = ("exist", "describe", "unclear")


def flaw(scene: Scene, text: str) -> str:
    """`good`, or one of FLAWS."""
    request = read_request(text)
    if request is None:
        return "nonsense"
    if request.kind == "unclear":
        return "unclear"
    if request.kind not in NOTHING_GIVEN and given(scene, request) is None:
        return "invented"
    return "unsolvable" if request.kind == "unsolvable" else "good"


def given(scene: Scene, request: Request) -> Thing | None:
    """The thing that a request takes for given, or None where it is not there."""
    match request.kind:
        case "count":
            return next(iter(scene.shapes), None)
        case "count_bars":
            return next(iter(scene.bars), None)
        case "bar":
            return scene.find("bar", value=request.value)
    kind = about(request)
    wanted = {name: value for name in ("color", "shape") if (value := getattr(request, name))}
    return scene.find(kind, **wanted)


def about(request: Request) -> str:
    """The kind of thing that a request is about."""
    if request.kind in ("value", "bar", "count_bars"):
        return "bar"
    if request.kind in ("word", "colored_word", "sign_color"):
        return "sign"
    if request.kind == "unsolvable":
        return "shape" if request.shape else "bar" if request.color else "sign"
    return "shape"


def answer(scene: Scene, request: Request) -> str | None:
    """The right answer, or None where there is none: to a flawed request."""
    if flaw(scene, request.say()) != "good":
        return None
    language = request.language
    if request.kind == "describe":
        return gap(language).join(caption(scene, language))
    if request.kind in ("count", "count_bars"):
        return counted(scene, request)
    thing = given(scene, request)
    if request.kind == "exist":
        phrase = (ANSWERS if thing else MISSING)["exist"][language]
        return fill(phrase, language, color=request.color, shape=request.shape)
    return statement(request.kind, thing, language) if thing else None


def counted(scene: Scene, request: Request) -> str:
    """How many shapes or bars there are."""
    many = len(scene.shapes if request.kind == "count" else scene.bars)
    phrases = {0: MISSING, 1: SINGLE}.get(many, ANSWERS)[request.kind]
    return fill(phrases[request.language], request.language, count=many or 1)


def statement(kind: str, thing: Thing, language: str) -> str:
    """The statement that answers a request of this kind about a thing."""
    return tell(ANSWERS[kind][language], thing, language)


def right_answer(scene: Scene, text: str) -> str:
    """The right answer to the request that a text is. Raises ValueError if there is none: to a flawed request."""
    request = read_request(text)
    said = answer(scene, request) if request else None
    if said is None:
        raise ValueError(f"there is no right answer to {text!r}")
    return said


def is_right(scene: Scene, instruction: str, response: str) -> bool:
    """Whether the response is the right answer; never to a flawed request, where nothing is right."""
    request = read_request(instruction)
    return request is not None and answer(scene, request) == response


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a caption: what it is (`statement`, `chart`, `empty`, `aside` or `garbled`), whether it is true
    (None where it states nothing), and the one property that makes it false (`thing` where more than one would have to
    be another).
    """

    text: str
    kind: str
    true: bool | None
    wrong: str = ""


def read_caption(scene: Scene, text: str) -> list[Sentence]:
    """Every sentence of a caption."""
    return [_sentence(scene, sentence) for sentence in sentences(text)]


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with its end."""
    found, start = [], 0
    for at, sign in enumerate(text):
        if sign in "。？！" or (sign in ".?!" and text[at + 1 : at + 2] in ("", " ")):
            found.append(text[start : at + 1].strip())
            start = at + 1
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def _sentence(scene: Scene, text: str) -> Sentence:
    for language in LANGUAGES:
        for kind, phrase in ((kind, phrases[language]) for kind, phrases in CAPTIONS.items()):
            said = match(phrase, language, text)
            if said is not None:
                wrong = "" if scene.find(kind, **said) else _wrong(scene, kind, said)
                return Sentence(text, "statement", not wrong, wrong)
        if text == fill(CHART[language], language):
            return Sentence(text, "chart", bool(scene.bars), "" if scene.bars else "thing")
        if text in (s for phrase in EMPTY[language] for s in sentences(fill(phrase, language))):
            return Sentence(text, "empty", None)
        if text in (fill(phrase, language) for phrase in ASIDE[language]):
            return Sentence(text, "aside", None)
    return Sentence(text, "garbled", None)


def _wrong(scene: Scene, kind: str, said: dict[str, object]) -> str:
    """The first property without which what is said would be true, or `thing`."""
    for name in said:
        if scene.find(kind, **{other: value for other, value in said.items() if other != name}):
            return name
    return "thing"


def wellformed(scene: Scene, text: str) -> bool:
    """Whether a caption consists of statements about a picture alone, true or not."""
    read = read_caption(scene, text)
    return bool(read) and all(sentence.kind in ("statement", "chart") for sentence in read)
