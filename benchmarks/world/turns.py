"""What users type under a picture, as the hook shall learn to write it: half instructions, half captions.

Half of the instructions are good; the others have one of the four flaws each, equally often. Many stand in company: a
description before them, a greeting, an answer after them, a second request. Captions may be false, empty, jumbled,
interrupted by something else, repeated or cut off.
"""

import random
from dataclasses import dataclass, replace

from benchmarks.world.oracle import FLAWS, answer, flaw
from benchmarks.world.phrases import ASIDE, EMPTY, GREETING, REQUESTS, UNCLEAR, UNSOLVABLE
from benchmarks.world.scene import COLORS, SHAPES, SIZES, VALUES, WORDS, Scene
from benchmarks.world.speech import SLOT, Request, caption, describe, fill, gap, pieces, read_request

MIX = {"en": 0.78, "zh": 0.19, "es": 0.03}
CAPTION_FAULTS = {
    "none": 0.55, "false": 0.15, "empty": 0.08, "aside": 0.08, "jumbled": 0.06, "repeated": 0.04, "cut": 0.04,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Turn:
    """A user's turn: the whole text, and the one instruction in it (empty in a caption)."""

    text: str
    instruction: str = ""


def draw_language(rng: random.Random) -> str:
    """A language, in about the mix of the published data set (78.5% English, 18.7% Chinese)."""
    return rng.choices(list(MIX), list(MIX.values()))[0]


def draw_turn(scene: Scene, rng: random.Random) -> Turn:
    """What a user types under this scene."""
    language = draw_language(rng)
    if rng.random() < 0.5:
        return Turn(draw_caption(scene, language, rng))
    kind = "good" if rng.random() < 0.5 else rng.choice(FLAWS)
    return dress(scene, draw_request(scene, kind, language, rng), language, rng)


def draw_request(scene: Scene, kind: str, language: str, rng: random.Random) -> str:
    """A request that is `good` or has this flaw."""
    if kind == "nonsense":
        return jumbled_request(language, rng)
    while True:
        request = _any_request(scene, kind, language, rng)
        if flaw(scene, request.say()) == kind:
            return request.say()


def _any_request(scene: Scene, kind: str, language: str, rng: random.Random) -> Request:
    """A request of any kind that may fit; near misses are likely, for colours and shapes of the scene are preferred."""
    phrases = {"unsolvable": UNSOLVABLE, "unclear": UNCLEAR}.get(kind)
    if phrases is None:
        kind = rng.choice(list(REQUESTS))
    wording = rng.randrange(len(phrases[language] if phrases else REQUESTS[kind][language]))
    slots = SLOT.findall(Request(kind, wording, language).phrase)
    there = rng.choice(scene.things)
    values: dict[str, object] = {}
    if "color" in slots:
        values["color"] = there.color if rng.random() < 0.6 else rng.choice(COLORS)
    if "shape" in slots:
        values["shape"] = there.shape if there.shape and rng.random() < 0.6 else rng.choice(SHAPES)
    if "value" in slots:
        values["value"] = there.value if there.value and rng.random() < 0.6 else rng.choice(VALUES)
    return Request(kind, wording, language, **values)  # type: ignore[arg-type]


def jumbled_request(language: str, rng: random.Random) -> str:
    """The words of a question in an order that makes no sense."""
    while True:
        kind = rng.choice(list(REQUESTS))
        phrase = REQUESTS[kind][language][0]
        values = {"color": rng.choice(COLORS), "shape": rng.choice(SHAPES), "value": rng.choice(VALUES)}
        text = jumbled(pieces(phrase, language, **values), language, rng)
        if text.endswith(("?", "？")) and read_request(text) is None:
            return text


def jumbled(words: list[str], language: str, rng: random.Random) -> str:
    """Words in another order, with the mark at the end where it was."""
    text = gap(language).join(words)
    mark = text[-1]
    words = [w for word in words if (w := word.strip("?？.。¿"))]
    order = rng.sample(words, len(words))
    return ("¿" if text[0] == "¿" else "") + gap(language).join(order) + mark


def dress(scene: Scene, request: str, language: str, rng: random.Random) -> Turn:
    """The request in the company in which users write it."""
    form, space = rng.random(), gap(language)
    if form < 0.2:
        return Turn(space.join([describe(rng.choice(scene.things), language), request]), request)
    if form < 0.3:
        return Turn(space.join([fill(rng.choice(GREETING[language]), language), request]), request)
    if form < 0.4:
        read = read_request(request)
        right = answer(scene, read) if read else None
        return Turn(space.join([request, right]) if right else request, request)
    if form < 0.5:
        return Turn(space.join([request, draw_request(scene, "good", language, rng)]), request)
    return Turn(request, request)


def draw_caption(scene: Scene, language: str, rng: random.Random) -> str:
    """A caption with one fault or none."""
    fault = rng.choices(list(CAPTION_FAULTS), list(CAPTION_FAULTS.values()))[0]
    said, space = caption(scene, language), gap(language)
    match fault:
        case "false":
            said = caption(falsified(scene, rng), language)
        case "empty":
            said = [fill(rng.choice(EMPTY[language]), language)]
        case "aside":
            said.insert(rng.randint(1, len(said)), fill(rng.choice(ASIDE[language]), language))
        case "jumbled":
            at = rng.randrange(len(said))
            said[at] = jumbled(spoken_words(said[at], language), language, rng)
        case "repeated":
            said.append(rng.choice(said))
        case "cut":
            last = spoken_words(said[-1], language)
            said[-1] = space.join(last[: rng.randint(2, len(last) - 1)])
    return space.join(said)


def spoken_words(sentence: str, language: str) -> list[str]:
    """The words of a sentence; a Chinese one comes apart into characters."""
    return list(sentence) if language == "zh" else sentence.split(" ")


def falsified(scene: Scene, rng: random.Random) -> Scene:
    """The scene with one property of one thing changed to what no thing of it has."""
    at = rng.randrange(len(scene.things))
    thing = scene.things[at]
    options = {
        "shape": ("color", "shape", "size", "place"),
        "sign": ("color", "word", "place"),
        "bar": ("color", "value"),
    }
    match rng.choice(options[thing.kind]):
        case "color":
            used = {other.color for other in scene.things}
            new = replace(thing, color=rng.choice([c for c in COLORS if c not in used]))
        case "shape":
            used = {other.shape for other in scene.things}
            new = replace(thing, shape=rng.choice([s for s in SHAPES if s not in used]))
        case "size":
            new = replace(thing, size=SIZES[1 - SIZES.index(thing.size)])
        case "word":
            new = replace(thing, word=rng.choice([w for w in WORDS if w != thing.word]))
        case "value":
            used = {str(other.value) for other in scene.things}
            new = replace(thing, value=rng.choice([v for v in VALUES if str(v) not in used]))
        case _:
            new = (
                replace(thing, row=(thing.row + 2) % 4)
                if rng.random() < 0.5
                else replace(thing, column=(thing.column + 2) % 4)
            )
    return Scene((*scene.things[:at], new, *scene.things[at + 1 :]))
