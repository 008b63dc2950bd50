"""Defects of training texts: special tokens, refusals, loops and empty texts.

Each is found by a simple rule. The report shows examples, so that a rule that matches the wrong texts is noticed.
"""

import re
from collections.abc import Iterator

SPECIAL = re.compile(r"<\|[^|<>\s]{1,40}\|>|</?s>|\[/?INST\]|<(?:image|video|audio)>|<(?:unk|pad|bos|eos)>")
REFUSAL = re.compile(
    r"\b(?:(?:I['’]?m|I am) (?:(?:very |really )?sorry|(?:not able|unable) to)|I can(?:no|['’])t"
    r"|as an? (?:AI|artificial|language model)|I do(?: not|n['’]t) have access)\b"
    r"|抱歉|对不起|我无法|我不能|作为(?:一个|一名)?(?:AI|人工智能)",
    re.IGNORECASE,
)
REFUSAL_WITHIN = 120  # characters: further on, such words are a quotation or a remark
LOOP = re.compile(r"(?s)(.{2,60}?)\1{7,}")  # a fragment eight times in a row
LOOKED_AT = 4000  # characters searched for loops

KINDS = {
    "special token": "the text contains a special token or placeholder",
    "refusal": "the text begins with a refusal or an apology",
    "loop": "a fragment is repeated eight times in a row",
    "empty": "the text is empty",
}


def defects(text: str) -> Iterator[str]:
    """Yield the kinds of defects in a text."""
    if not text.strip():
        yield "empty"
        return
    if SPECIAL.search(text):
        yield "special token"
    if REFUSAL.search(text[:REFUSAL_WITHIN]):
        yield "refusal"
    if _may_loop(text[:LOOKED_AT]) and LOOP.search(text[:LOOKED_AT]):
        yield "loop"


def _may_loop(text: str) -> bool:
    """Return False only if LOOP can't match. Checking every seventh position suffices: any eight characters
    of a loop occur again within 60. Without this check the search takes most of a report's time.
    """
    return any(text.find(text[at : at + 8], at + 2, at + 68) >= 0 for at in range(0, len(text) - 8, 7))
