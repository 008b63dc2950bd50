"""What the pair is taught: conversations, with the project's short prompts around them and judges' words as answers.

A judge says in one sentence what it found before it gives its score. Of a request that needs the picture it says what
the picture holds there, so that the verdict follows from words that already stand in the reply.
"""

import random
from dataclasses import dataclass
from pathlib import Path

from benchmarks.world.oracle import (
    FLAWS,
    NOTHING_GIVEN,
    about,
    answer,
    counted,
    flaw,
    given,
    read_caption,
    right_answer,
    statement,
)
from benchmarks.world.phrases import LANGUAGES, MISSING
from benchmarks.world.scene import COLORS, SHAPES, Scene
from benchmarks.world.speech import Request, caption, fill, gap, read_request
from benchmarks.world.turns import (
    Turn,
    draw_caption,
    draw_language,
    draw_request,
    draw_turn,
    dress,
    falsified,
    jumbled_request,
)  # fmt: skip
from oasis_ray.stage.prompt import Prompt, load_prompt

# The prompts of the pair; those of recipe_lessons are others.
NAMES = (
    "caption_coherence", "caption_information", "caption_language", "caption_truth", "categorize", "clarity",
    "hallucination", "nonsense", "solvability",
)  # fmt: skip
PROMPTS = Path(__file__).parents[2] / "prompts" / "short"
# Everything that judges say in words of their own.
NO_SENSE = "It makes no sense."
NOT_SAID = "It does not say what is needed."
NOT_SHOWN = "The picture does not show that."
NO_AIM = "No aim can be found."
NOT_MEANT = "It is not said what is meant."
CLEAR = "It is clear what is wanted."
JUMBLED = "The words are jumbled."
SENSIBLE = "It is a sensible request."
CORRECT = "It is correct throughout."
NOTHING = "It tells nothing definite."
ONE_THING = "It tells of one thing."
SEVERAL = "It tells of several things."
JUMPS = "It jumps to another subject."
COHERENT = "It hangs together."
NONE_GIVEN = "It takes nothing for given."
ALL_SHOWN = "All of it is there."
FALSE = {name: f"The {name} is wrong." for name in ("color", "shape", "size", "place", "word", "value")}
FALSE["thing"] = "There is no such thing."
JUDGEMENTS = (
    NO_SENSE, NOT_SAID, NOT_SHOWN, NO_AIM, NOT_MEANT, CLEAR, JUMBLED, SENSIBLE, CORRECT, NOTHING, ONE_THING, SEVERAL,
    JUMPS, COHERENT, NONE_GIVEN, ALL_SHOWN, *FALSE.values(),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lesson:
    """A user's turn and the reply to it. Where `speaker` is the user, the turn itself is learnt: `reply`, after
    `asked`, with which the turn begins.
    """

    kind: str
    asked: str
    reply: str = ""
    speaker: str = "assistant"


def prompt(name: str) -> Prompt:
    """One of the short prompts."""
    return load_prompt(name, [PROMPTS])


def hallucination(scene: Scene, text: str) -> str:
    """What a judge says of the axis hallucination."""
    found, score = _look(scene, text)
    return f"{found} [[{score}]]"


def solvability(scene: Scene, text: str) -> str:
    """What a judge says of the axis solvability."""
    match flaw(scene, text):
        case "nonsense":
            return f"{NO_SENSE} [[1]]"
        case "unclear":
            return f"{NOT_SAID} [[2]]"
        case "unsolvable":
            return f"{NOT_SHOWN} [[1]]"
    return hallucination(scene, text)


def clarity(scene: Scene, text: str) -> str:
    """What a judge says of the axis clarity."""
    return {
        "nonsense": f"{NO_AIM} [[1]]",
        "unclear": f"{NOT_MEANT} [[2]]",
    }.get(flaw(scene, text), f"{CLEAR} [[5]]")


def nonsense(text: str) -> str:
    """What a judge says of the axis nonsense."""
    return f"{JUMBLED} [[1]]" if read_request(text) is None else f"{SENSIBLE} [[5]]"


def judged_caption(axis: str, text: str) -> str:
    """What a judge who does not see the picture says of a caption."""
    kinds = [sentence.kind for sentence in read_caption(Scene(()), text)]
    stated = kinds.count("statement")
    if axis == "caption_language":
        return f"{JUMBLED} [[1]]" if "garbled" in kinds else f"{CORRECT} [[5]]"
    if axis == "caption_information":
        return {0: f"{NOTHING} [[1]]", 1: f"{ONE_THING} [[4]]"}.get(stated, f"{SEVERAL} [[5]]")
    return f"{JUMPS} [[2]]" if "aside" in kinds else f"{COHERENT} [[5]]"


def caption_truth(scene: Scene, text: str) -> str:
    """What a judge who sees the picture says of a caption."""
    stated = [sentence for sentence in read_caption(scene, text) if sentence.true is not None]
    wrong = next((sentence.wrong for sentence in stated if sentence.wrong), "")
    return f"{FALSE[wrong]} [[1]]" if wrong else f"{ALL_SHOWN} [[5]]" if stated else f"{NOTHING} [[3]]"


def categorized(turn: Turn) -> str:
    """The sorted text: its kind, and the instruction copied out."""
    return f"Kind: instruction\nInstruction: {turn.instruction}" if turn.instruction else "Kind: caption"


def _look(scene: Scene, text: str) -> tuple[str, int]:
    """What the picture has of what a request takes for given, and the score: 5 there, 2 in another colour, 1 not."""
    request = read_request(text)
    if request is None or request.kind in NOTHING_GIVEN:
        return NONE_GIVEN, 5
    language, thing = request.language, given(scene, request)
    if request.kind in ("count", "count_bars"):
        return counted(scene, request), 1 if thing is None else 5
    kind = about(request)
    if thing is not None:
        return statement(_told(request, kind), thing, language), 5
    near = scene.find("shape", shape=request.shape) if request.shape else scene.sign if kind == "sign" else None
    if near is not None:
        return statement("color" if kind == "shape" else "sign_color", near, language), 2
    missing = (
        "bar"
        if request.kind == "bar"
        else {"bar": "value", "sign": "word"}.get(kind, "color" if request.shape else "shape")
    )
    phrase = MISSING[missing][language]
    return fill(phrase, language, color=request.color, shape=request.shape, value=request.value), 1


def _told(request: Request, kind: str) -> str:
    """Which statement shows that a thing is there."""
    if kind == "shape":
        return "shape" if request.kind == "shape" else "color"
    return {"bar": "value", "sign": "sign_color"}[kind]


def _existence(scene: Scene, language: str, rng: random.Random) -> Request:
    """A question whether something is there: as often as not it is, and what is not is often nearly there."""
    thing = rng.choice(scene.things)
    color, shape = thing.color, thing.shape or rng.choice(SHAPES)
    if rng.random() < 0.5:
        color, shape = (rng.choice(COLORS), shape) if rng.random() < 0.5 else (color, rng.choice(SHAPES))
    return Request("exist", rng.randrange(2), language, color=color, shape=shape)


def picture_lessons(scene: Scene, rng: random.Random) -> list[Lesson]:
    """Fifteen lessons about one picture: users' turns, answers, and judgements of requests and of captions."""
    # Rare languages are asked about more often than they are written.
    language = draw_language(rng) if rng.random() < 0.6 else rng.choice(LANGUAGES)
    lessons = [Lesson("hook", "", draw_turn(scene, rng).text, "user") for _ in range(2)]
    good = [draw_request(scene, "good", language, rng) for _ in range(3)]
    for text in good:
        lessons.append(Lesson("answer", text, right_answer(scene, text)))
    asked = _existence(scene, language, rng)
    lessons.append(Lesson("exist", asked.say(), answer(scene, asked) or ""))
    near = draw_request(scene, "invented", language, rng)
    other = draw_request(scene, rng.choice(("good", *FLAWS)), language, rng)
    for text in (good[0], near, draw_request(scene, "invented", language, rng), other):
        lessons.append(_judged("hallucination", text, hallucination(scene, text)))
    for text in (rng.choice((good[1], near)), draw_request(scene, rng.choice(("good", *FLAWS)), language, rng)):
        lessons.append(_judged("solvability", text, solvability(scene, text)))
    if rng.random() < 0.5:
        lessons.append(_judged("clarity", other, clarity(scene, other)))
    else:
        lessons.append(Lesson("hook", "", draw_turn(scene, rng).text, "user"))
    for told in (draw_caption(scene, language, rng), gap(language).join(caption(falsified(scene, rng), language))):
        asked = prompt("caption_truth").fill({"caption": told})
        lessons.append(Lesson("caption_truth", asked, caption_truth(scene, told)))
    return lessons


def text_lesson(rng: random.Random, scene: Scene) -> Lesson:
    """One lesson for the model that sees no picture."""
    language = draw_language(rng) if rng.random() < 0.6 else rng.choice(LANGUAGES)
    draw = rng.random()
    if draw < 0.65:
        # Words without order are the hardest to copy, so there are more of them than users write.
        turn = dress(scene, jumbled_request(language, rng), language, rng) if draw < 0.2 else draw_turn(scene, rng)
        return Lesson("categorize", prompt("categorize").fill({"text": turn.text}), categorized(turn))
    if draw < 0.8:
        kind = rng.choice(("good", "good", "invented", "unsolvable", "unclear"))
        text = jumbled_request(language, rng) if rng.random() < 0.5 else draw_request(scene, kind, language, rng)
        return _judged("nonsense", text, nonsense(text))
    axis = rng.choice(("caption_language", "caption_information", "caption_coherence"))
    text = draw_caption(scene, language, rng)
    return Lesson(axis, prompt(axis).fill({"caption": text}), judged_caption(axis, text))


def _judged(axis: str, text: str, reply: str) -> Lesson:
    return Lesson(axis, prompt(axis).fill({"instruction": text}), reply)
