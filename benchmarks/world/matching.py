"""Does a response answer its request, what should the request have been, and how is a flawed one repaired?"""

import random
from dataclasses import replace

from benchmarks.world.oracle import FLAWS, about, answer, flaw, right_answer, wellformed
from benchmarks.world.phrases import ANSWERS, MISSING, SINGLE, UNCLEAR
from benchmarks.world.scene import Scene, Thing, draw_scene
from benchmarks.world.speech import SLOT, Request, match, read_request
from benchmarks.world.turns import draw_request, falsified

# What a request asks about, in Chinese as the prompts for advice are.
ASPECTS = {
    "color": "颜色", "sign_color": "颜色", "shape": "形状", "where": "位置", "size": "大小", "word": "文字",
    "value": "数值", "count": "图形的数量", "count_bars": "柱子的数量", "describe": "整张图片",
}  # fmt: skip
KEPT = "无需修改"
SHAPE_KINDS = ("color", "shape", "where", "size")
SIGN_KINDS = ("word", "sign_color")
BAR_KINDS = ("value", "bar")


def fit(request: Request, response: str) -> str:
    """Whether a response answers a request, whatever the image shows: `full`, `other` (it is about another thing) or
    `none`.
    """
    if request.kind == "describe":
        return "full" if wellformed(Scene(()), response) else "none"
    phrases = [table[request.kind] for table in (ANSWERS, SINGLE) if request.kind in table]
    if request.kind in ("exist", "count", "count_bars"):
        phrases.append(MISSING[request.kind])
    for phrase in phrases:
        named = match(phrase[request.language], request.language, response)
        if named is not None:
            asked = ((name, getattr(request, name)) for name in ("color", "shape", "value"))
            return "full" if all(named.get(name, value) == value for name, value in asked if value) else "other"
    return "none"


def kinds_about(thing: Thing) -> tuple[str, ...]:
    """The kinds of request that one thing answers."""
    return {"shape": SHAPE_KINDS, "sign": SIGN_KINDS, "bar": BAR_KINDS}[thing.kind]


def request_about(kind: str, thing: Thing, language: str, wording: int = 0) -> Request:
    """The request of this kind about this thing, with the words that its phrase has room for."""
    return named_after(Request(kind, wording, language), thing)


def named_after(request: Request, thing: Thing) -> Request:
    """The request with the properties of this thing in its slots."""
    slots = {slot: getattr(thing, slot) for slot in SLOT.findall(request.phrase)}
    return replace(request, **slots)


def repaired(scene: Scene, text: str, rng: random.Random) -> str:
    """The request without its flaw: about the thing that it nearly names, or about any thing where it names nothing."""
    request = read_request(text)
    if request is None or request.kind == "unclear":
        thing = rng.choice(scene.things)
        return request_about(rng.choice(kinds_about(thing)), thing, request.language if request else "en").say()
    if flaw(scene, text) == "good":
        return text
    thing = _nearest(scene, request)
    if request.kind == "unsolvable" and thing is not None:
        return request_about(kinds_about(thing)[0], thing, request.language).say()
    if thing is None or request.kind in ("count", "count_bars"):
        return Request("describe", 0, request.language).say()
    return named_after(request, thing).say()


def _nearest(scene: Scene, request: Request) -> Thing | None:
    """The thing of the kind in question that shares the shape, the colour or the value, or else the first one."""
    kind = about(request)
    for name in ("shape", "color", "value"):
        wanted = getattr(request, name)
        thing = scene.find(kind, **{name: wanted}) if wanted else None
        if thing is not None:
            return thing
    return scene.find(kind)


def questions(scene: Scene, language: str, rng: random.Random) -> list[Request]:
    """One question about each thing, and one about their number."""
    about_things = [
        request_about(rng.choice(kinds_about(thing)), thing, language, rng.randrange(2)) for thing in scene.things
    ]
    counts = [kind for kind, there in (("count", scene.shapes), ("count_bars", scene.bars)) if there]
    return about_things + [Request(kind, rng.randrange(2), language) for kind in counts]


def mismatched(scene: Scene, language: str, rng: random.Random) -> tuple[str, str, str]:
    """A request, a response that is right for another request, and that request. One time in five both are the same.

    The first names all that the second does: `improved` finds the second from the first and advice.
    """
    thing = rng.choice(scene.things)
    if thing.kind == "shape" and rng.random() < 0.7:
        asked_kind, wanted_kind = rng.choice(("where", "size")), rng.choice(SHAPE_KINDS)
    elif thing.kind == "sign" and rng.random() < 0.7:
        asked_kind, wanted_kind = rng.sample(SIGN_KINDS, 2)
    else:
        asked_kind, wanted_kind = rng.sample(("describe", "count_bars" if scene.bars else "count"), 2)
    asked, wanted = (
        request_about(kind, thing, language) if kind in SHAPE_KINDS else Request(kind, 0, language)
        for kind in (asked_kind, wanted_kind)
    )
    if rng.random() < 0.2:
        asked = wanted
    elif wanted.kind == "describe" and rng.random() < 0.3:
        asked = Request("unclear", rng.randrange(len(UNCLEAR[language])), language)
    return asked.say(), answer(scene, wanted) or "", wanted.say()


def advice(asked: str, wanted: str) -> str:
    """How to change the request `asked` so that it becomes `wanted`, without its content."""
    request = read_request(wanted)
    if asked == wanted or request is None:
        return KEPT
    return f"应当问{ASPECTS[request.kind]}。"


def improved(asked: str, hint: str) -> str | None:
    """The request after this advice, or None where the advice can't be followed without the image."""
    request = read_request(asked)
    if hint == KEPT:
        return asked
    for kind, aspect in ASPECTS.items():
        if request is None or hint != f"应当问{aspect}。":
            continue
        slots = SLOT.findall(Request(kind, 0, request.language).phrase)
        if all(getattr(request, slot) for slot in slots):
            return Request(kind, 0, request.language, **{slot: getattr(request, slot) for slot in slots}).say()
    return None


def other_answer(scene: Scene, asked: str, rng: random.Random) -> str:
    """The right answer in a scene that differs in one property; the same one if no such scene has another."""
    known = right_answer(scene, asked)
    for _ in range(8):
        other = falsified(scene, rng) if rng.random() < 0.7 else draw_scene(rng)
        if flaw(other, asked) == "good" and right_answer(other, asked) != known:
            return right_answer(other, asked)
    return known


def exchange(scene: Scene, language: str, rng: random.Random) -> tuple[str, str]:
    """A request and a response: right, false in one property, the answer to another request, or to a flawed one."""
    draw = rng.random()
    asked = draw_request(scene, "good" if draw < 0.8 else rng.choice(FLAWS), language, rng)
    if draw < 0.3:
        return asked, right_answer(scene, asked)
    if draw < 0.5:
        return asked, other_answer(scene, asked, rng)
    if draw < 0.6:
        asked, response, _ = mismatched(scene, language, rng)
        return asked, response
    return asked, right_answer(scene, draw_request(scene, "good", language, rng))
