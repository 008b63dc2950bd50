"""Scripts for `ScriptedEngine`: what the models say is a function of the call."""

import asyncio
import os

from oasis_ray.errors import RowError
from oasis_ray.types import Call, Reply

CAPTION = "A teal square fills the whole picture. Nothing else is in it, and its edges are sharp."
# What the judges say of an instruction that holds one of these words; all other scores are 5.
FLAWS = {"unclear": "clarity", "impossible": "solvability", "invented": "hallucination", "garbled": "nonsense"}
# A phrase of each judge's prompt, to tell which axis is asked for.
AXES = {
    "could a careful expert answer it": "solvability",
    "is it clear what is wanted": "clarity",
    "does it speak of nothing but": "hallucination",
    "whether this is a sensible piece": "nonsense",
}


def oasis(call: Call) -> Reply:
    """The whole Oasis recipe. The row's id says what becomes of it."""
    text = call.request.text
    if call.request.speaker == "user":
        return Reply.of(CAPTION if "caption" in call.row else f"Nice. What about the {call.row} thing?")
    if text.startswith("You sort texts"):
        return _categorized(call.row)
    if "description of a picture" in text:
        return Reply.of("Tells little. [[2]]" if "poor" in call.row else "Fine. [[5]]")
    for phrase, axis in AXES.items():
        if phrase in text:
            return _judged(call.row, axis)
    if "long" in call.row:
        raise RowError("prompt_over_context", "9000 tokens, the limit is 8192")
    return Reply.of(f"The answer for {call.row}.")


def _categorized(row: str) -> Reply:
    if "unreadable" in row:
        return Reply.of("I'd rather not say.")
    if "caption" in row:
        return Reply.of("Kind: caption")
    return Reply.of(f"Kind: instruction\nInstruction: What about the {row} thing?")


def _judged(row: str, axis: str) -> Reply:
    if "mute" in row and axis == "clarity":
        return Reply.of("No verdict from me.")
    if "middling" in row and axis in ("clarity", "solvability"):
        return Reply.of("So so. [[3]]")
    flawed = any(word in row and FLAWS[word] == axis for word in FLAWS)
    return Reply.of("Bad. [[1]]" if flawed else "Good. [[5]]")


def broken(call: Call) -> Reply:
    """An engine that fails."""
    raise OSError("the cable is out")


def fragile(call: Call) -> Reply:
    """Engines that end with their whole process whenever the row `poison` is to be sorted."""
    if "poison" in call.row and call.request.text.startswith("You sort texts"):
        os._exit(1)
    return oasis(call)


async def slow(call: Call) -> Reply:
    """Each request takes a third of a second."""
    await asyncio.sleep(0.3)
    return oasis(call)


async def deaf(call: Call) -> Reply:
    """No request of the row `stuck` is ever answered."""
    if call.row == "stuck":
        await asyncio.Event().wait()
    return oasis(call)


async def whoami(call: Call) -> Reply:
    """Which process answers, after a while."""
    await asyncio.sleep(0.1)
    return Reply.of(str(os.getpid()))


def weigh(call: Call) -> Reply:
    """How many bytes of each picture came."""
    return Reply.of(" ".join(str(len(image.data)) for image in call.request.images))
