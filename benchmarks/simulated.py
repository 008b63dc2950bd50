"""What simulated engines say: replies of a usual length, with the published shares of captions and of accepted rows."""

import asyncio
from hashlib import sha256

from ray import serve

from oasis_ray.types import Call, Reply, Sample

INSTRUCTIONS = 0.499  # of hook texts (arXiv 2503.08741)
PASSED = 0.509 ** (1 / 4)  # of each of the four judges, so that 50.9% of instructions pass all (the same paper)
SLOW_S = 10.0  # a straggler's delay; another engine takes about a second for a reply
# Of replies: assumed, round figures. A verdict is what a terse judge writes.
TOKENS = {"hook": 100, "categorize": 50, "judge": 60, "verdict": 5, "respond": 200}


def oasis(call: Call) -> Reply:
    """The Oasis recipe, by the words of its prompts. The same call gets the same reply."""
    text = call.request.text
    if call.request.speaker == "user":
        return said("hook", f"The picture shows a {call.row} thing on a table. What is the thing for, and who uses it?")
    if "Kind:" in text:
        caption = chance(call.row, "kind") >= INSTRUCTIONS
        return said("categorize", "Kind: caption" if caption else "Kind: instruction\nInstruction: What is it for?")
    if "[[" in text:
        passed = chance(call.row, text) < PASSED
        verdict = f"[[{5 if passed else 1}]]"
        return said("verdict", verdict) if call.request.choices else said("judge", f"So it is. {verdict}")
    return said("respond", "It is for holding things, and all who have things use it.")


def oasis_in_short(call: Call) -> Reply:
    """The same with replies of a tenth of the tokens, so that rows take seconds and not half a minute."""
    reply = oasis(call)
    return Reply((Sample(reply.text, tokens=max(1, reply.samples[0].tokens // 10)),))


def said(kind: str, text: str) -> Reply:
    """A reply that counts as so many tokens as one of its kind has."""
    return Reply((Sample(text, tokens=TOKENS[kind]),))


def chance(*of: str) -> float:
    """A number from 0 to 1, drawn by these words."""
    return int.from_bytes(sha256("\0".join(of).encode()).digest()[:6], "big") / 2**48


async def with_a_straggler(call: Call) -> Reply:
    """The same, and the pool's first engine takes SLOW_S longer for each reply."""
    if serve.get_replica_context().rank.rank == 0:
        await asyncio.sleep(SLOW_S)
    return oasis_in_short(call)
