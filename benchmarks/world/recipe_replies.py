"""Right replies at the nodes of MM-INF's recipes: to statements, requests with responses, questions and captions."""

from benchmarks.world import phrases
from benchmarks.world.lessons import hallucination
from benchmarks.world.matching import fit
from benchmarks.world.oracle import answer, sentences
from benchmarks.world.phrases import ASIDE, CHART, EMPTY, LANGUAGES, MISSING
from benchmarks.world.scene import Scene, Thing
from benchmarks.world.speech import Request, caption, describe, fill, match, read_request

SAYS, SHOWS = "The description says:", "The picture shows:"
SAYS_NOTHING, SHOWS_NOTHING = "The description says nothing of it.", "The picture shows nothing of it."
VAGUE, BROKEN, NO_ANSWER = "提示词含糊。【2分】", "提示词不通顺。【1分】", "图片里没有答案。【2分】"
FITS, OTHER, UNFIT = "回复符合提示词。【9分】", "回复说的是别的东西。【3分】", "回复答非所问。【1分】"
EXPECTED = "应当回复："


def checked(scene: Scene, statement: str) -> str:
    """What is said of one statement of a caption: what the image shows in its place, and the verdict."""
    shown = _shown(scene, statement)
    return f"{shown} [[{'Correct' if shown == statement else 'Incorrect'}]]"


def _shown(scene: Scene, statement: str) -> str:
    for language in LANGUAGES:
        if statement == fill(CHART[language], language):
            return statement if scene.bars else fill(MISSING["count_bars"][language], language)
        for kind, phrase in ((kind, table[language]) for kind, table in phrases.CAPTIONS.items()):
            said = match(phrase, language, statement)
            if said is not None:
                thing = _meant(scene, kind, said)
                name = {"shape": "color", "sign": "word", "bar": "value"}[kind]
                return describe(thing, language) if thing else fill(MISSING[name][language], language, **said)
    raise ValueError(f"{statement!r} is no statement of a caption")


def _meant(scene: Scene, kind: str, said: dict[str, object]) -> Thing | None:
    """The thing that a statement is about: exactly that, or else of the same shape, colour, value."""
    if kind == "sign":
        return scene.sign
    for names in (tuple(said), ("shape",), ("color",), ("value",)):
        wanted = {name: said[name] for name in names if name in said}
        thing = scene.find(kind, **wanted) if wanted else None
        if thing is not None:
            return thing
    return None


def matched(scene: Scene | None, asked: str, response: str) -> str:
    """What is said of a request and a response, without the image where `scene` is None."""
    request = read_request(asked)
    if request is None:
        return BROKEN
    if request.kind == "unclear":
        return VAGUE
    if request.kind == "unsolvable":
        return NO_ANSWER
    fits = fit(request, response)
    if scene is None:
        return {"full": FITS, "other": OTHER, "none": UNFIT}[fits]
    right = answer(scene, request)
    if right is None:
        return NO_ANSWER
    return f"{EXPECTED}{right}【{10 if right == response else 1 if fits == 'none' else 4}分】"


def reasoned(scene: Scene, asked: str) -> str:
    """A thought about a description of the scene, and the answer."""
    request = read_request(asked)
    if request is None:
        raise ValueError(f"{asked!r} is no request")
    right = answer(scene, request)
    if right is None or (request.kind == "exist" and right == fill(
        MISSING["exist"]["en"], "en", color=request.color, shape=request.shape
    )):  # fmt: skip
        missing = right or hallucination(scene, asked).rpartition(" [[")[0]
        return thought(SAYS_NOTHING, missing)
    sources = caption(scene, "en")
    if request.kind not in ("describe", "count", "count_bars"):
        thing = next(thing for thing in scene.things if _named(request, thing))
        sources = [describe(thing, "en")]
    return thought(f"{SAYS} {' '.join(sources)}", right)


def thought(said: str, reply: str) -> str:
    """A reply with reasoning, in the form that `generate` gives it (`keep_reasoning`)."""
    return f"<think>\n{said}\n</think>\n\n{reply}"


def _named(request: Request, thing: Thing) -> bool:
    """Whether the thing is the one that a good request about one thing names."""
    kind = {"value": "bar", "bar": "bar", "word": "sign", "colored_word": "sign", "sign_color": "sign"}
    wanted = {name: value for name in ("color", "shape", "value") if (value := getattr(request, name))}
    return thing.kind == kind.get(request.kind, "shape") and all(getattr(thing, n) == v for n, v in wanted.items())


def of_the_image(text: str) -> str:
    """The text without a mention of a description."""
    return text.replace(SAYS_NOTHING, SHOWS_NOTHING).replace(SAYS, SHOWS)


def divided(text: str) -> str:
    """The statements of a caption, one per line, without what says nothing about the image."""
    other = {
        sentence
        for table in (ASIDE, EMPTY)
        for language in LANGUAGES
        for phrase in table[language]
        for sentence in sentences(fill(phrase, language))
    }
    return "\n".join(sentence for sentence in sentences(text) if sentence not in other)
