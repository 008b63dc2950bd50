"""What the model for MM-INF's recipes is taught: descriptions, checks of statements, questions, rewriting, reasoning.

Each kind of lesson is one node of a recipe, asked with the short form of its prompt.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from benchmarks.world.lessons import PROMPTS, Lesson, clarity, hallucination, prompt
from benchmarks.world.matching import (
    ASPECTS,
    KEPT,
    advice,
    exchange,
    improved,
    kinds_about,
    mismatched,
    other_answer,
    questions,
    repaired,
    request_about,
)
from benchmarks.world.oracle import FLAWS, answer, flaw, read_caption, right_answer
from benchmarks.world.phrases import LANGUAGES
from benchmarks.world.recipe_replies import (
    BROKEN,
    FITS,
    NO_ANSWER,
    OTHER,
    SAYS,
    SAYS_NOTHING,
    SHOWS,
    SHOWS_NOTHING,
    UNFIT,
    VAGUE,
    checked,
    divided,
    matched,
    of_the_image,
    reasoned,
)
from benchmarks.world.scene import Scene, draw_scene
from benchmarks.world.speech import Request, caption, gap
from benchmarks.world.turns import draw_caption, draw_language, draw_request, dress, falsified

NAMES = (
    "statement_correct", "divide", "questions_from_caption", "reword", "inquire", "caption_structured",
    "reason_from_caption", "speak_of_the_image", "same_answer", "zh/match", "zh/advise", "zh/improve",
)  # fmt: skip
DESCRIBE = (PROMPTS.parent / "describe" / "en.txt").read_text(encoding="utf-8").splitlines()
FALSE_CAPTIONS = 0.3  # the share of descriptions with one false statement: what the filters are for
SPOKEN = (
    *DESCRIBE, SAYS, SHOWS, SAYS_NOTHING, SHOWS_NOTHING, "<think> </think>", "[[Correct]] [[Incorrect]] [[Yes]] [[No]]",
    *(text.replace("。", " 。 ") for text in (VAGUE, BROKEN, NO_ANSWER, FITS, OTHER, UNFIT)), "应当回复 ：", KEPT,
    "应当 问", *ASPECTS.values(), *(f"【{score}分】" for score in range(1, 11)),
)  # fmt: skip


def spoken() -> list[str]:
    """Every text in whose words the prompts and the replies of these lessons are written."""
    return [*SPOKEN, *((PROMPTS / f"{name}.txt").read_text(encoding="utf-8") for name in NAMES)]


def image_lessons(scene: Scene, rng: random.Random) -> list[Lesson]:
    """Nine lessons about one image."""
    language = draw_language(rng) if rng.random() < 0.6 else rng.choice(LANGUAGES)
    text = " ".join(caption(falsified(scene, rng) if rng.random() < FALSE_CAPTIONS else scene, "en"))
    asked = rng.choice(DESCRIBE) if rng.random() < 0.7 else prompt("caption_structured").fill({})
    found = [Lesson("describe", asked, text)]
    for _ in range(3):
        statement = _statement(scene, rng, language)
        found.append(_lesson("statement_correct", {"statement": statement}, checked(scene, statement)))
    kind = "good" if rng.random() < 0.5 else rng.choice(FLAWS)
    turn = dress(scene, draw_request(scene, kind, "en", rng), "en", rng).text if rng.random() < 0.85 else text
    found.append(Lesson("hook", text + "\n\n", turn, "user"))
    good = draw_request(scene, "good", language, rng)
    found.append(Lesson("answer", good, right_answer(scene, good)))
    found.append(_reworded(scene, language, rng))
    asked, response = exchange(scene, language, rng)
    shown = _lesson("zh/match", {"instruction": asked, "response": response}, matched(scene, asked, response))
    found.append(replace(shown, kind="zh/match with the image"))
    asked, response, wanted = mismatched(scene, language, rng)
    found.append(_lesson("zh/advise", {"instruction": asked, "response": response}, advice(asked, wanted)))
    return found


def text_lesson(rng: random.Random, scene: Scene) -> Lesson:
    """One lesson without an image."""
    language = draw_language(rng) if rng.random() < 0.6 else rng.choice(LANGUAGES)
    kinds: dict[Callable[[random.Random, Scene, str], Lesson], float] = {
        _divide: 0.12, _ask: 0.15, _inquire: 0.05, _match: 0.15,
        _improve: 0.06, _reason: 0.15, _rewrite: 0.16, _same: 0.16,
    }  # fmt: skip
    return rng.choices(list(kinds), list(kinds.values()))[0](rng, scene, language)


def _divide(rng: random.Random, scene: Scene, language: str) -> Lesson:
    while True:
        text = draw_caption(scene, language, rng)
        if divided(text):
            return _lesson("divide", {"caption": text}, divided(text))


def _ask(rng: random.Random, scene: Scene, language: str) -> Lesson:
    asked = "\n".join(request.say() for request in questions(scene, language, rng))
    return _lesson("questions_from_caption", {"caption": gap(language).join(caption(scene, language))}, asked)


def _inquire(rng: random.Random, scene: Scene, language: str) -> Lesson:
    thing = rng.choice(scene.things)
    kind = "describe" if rng.random() < 0.5 else rng.choice(kinds_about(thing))
    request = Request("describe", 0, language) if kind == "describe" else request_about(kind, thing, language)
    if kind == "bar":  # its answer is that of `value`
        request = request_about("value", thing, language)
    return _lesson("inquire", {"caption": answer(scene, request) or ""}, request.say())


def _match(rng: random.Random, scene: Scene, language: str) -> Lesson:
    asked, response = exchange(scene, language, rng)
    return _lesson("zh/match", {"instruction": asked, "response": response}, matched(None, asked, response))


def _improve(rng: random.Random, scene: Scene, language: str) -> Lesson:
    while True:
        asked, _, wanted = mismatched(scene, language, rng)
        hint = advice(asked, wanted)
        better = improved(asked, hint)
        if better is not None:
            return _lesson("zh/improve", {"instruction": asked, "advice": hint}, better)


def _reason(rng: random.Random, scene: Scene, language: str) -> Lesson:
    """English alone: the description is."""
    asked = draw_request(scene, "good" if rng.random() < 0.75 else "invented", "en", rng)
    text = " ".join(caption(scene, "en"))
    return _lesson("reason_from_caption", {"caption": text, "question": asked}, reasoned(scene, asked))


def _rewrite(rng: random.Random, scene: Scene, language: str) -> Lesson:
    said = reasoned(scene, draw_request(scene, "good" if rng.random() < 0.75 else "invented", "en", rng))
    return _lesson("speak_of_the_image", {"text": said}, of_the_image(said))


def _same(rng: random.Random, scene: Scene, language: str) -> Lesson:
    asked = draw_request(scene, "good", language, rng)
    known = said = right_answer(scene, asked)
    if rng.random() < 0.5:
        other = draw_scene(rng)
        missing = flaw(other, asked) == "invented" and rng.random() < 0.3
        said = hallucination(other, asked).rpartition(" [[")[0] if missing else other_answer(scene, asked, rng)
    verdict = "Yes" if said == known else "No"
    return _lesson("same_answer", {"question": asked, "known": known, "answer": said}, f"{said} [[{verdict}]]")


def _statement(scene: Scene, rng: random.Random, language: str) -> str:
    """A statement that is true as often as not; what is false is mostly false in one property."""
    draw = rng.random()
    if draw < 0.5:
        return rng.choice(caption(scene, language))
    if draw < 0.9:
        wrong = [one for one in read_caption(scene, gap(language).join(caption(falsified(scene, rng), language)))
                 if not one.true]  # fmt: skip
        return wrong[0].text if wrong else caption(scene, language)[0]
    return rng.choice(caption(draw_scene(rng), language))


def _reworded(scene: Scene, language: str, rng: random.Random) -> Lesson:
    if rng.random() < 0.7:
        text = draw_request(scene, "invented", language, rng)
        reason = hallucination(scene, text)
    else:
        text = draw_request(scene, "unclear", language, rng)
        reason = clarity(scene, text)
    return _lesson("reword", {"instruction": text, "reason": reason}, repaired(scene, text, rng))


def _lesson(name: str, texts: dict[str, str], reply: str) -> Lesson:
    return Lesson(name, prompt(name).fill(texts), reply)
