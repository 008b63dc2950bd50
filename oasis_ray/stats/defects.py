"""What should not be in a text that a model is trained on: special tokens, refusals, loops, texts of nothing.

Each is a rule that can be read here, not a judgement; the report shows examples, so that a rule that hits the wrong
texts is seen.
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
REFUSAL_WITHIN = 120  # characters: a refusal stands at the beginning; later on it is a quotation or a remark
LOOP = re.compile(r"(?s)(.{2,60}?)\1{7,}")  # the same fragment eight times in a row
LOOKED_AT = 4000  # characters that the search for loops goes through

KINDS = {
    "special token": "a special token or a placeholder stands in the text as characters",
    "refusal": "the text begins by declining or apologising",
    "loop": "a fragment comes eight times in a row",
    "empty": "there is no text",
}


def defects(text: str) -> Iterator[str]:
    """The kinds of defect that a text has."""
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
    """False only where LOOP can't match: eight equal fragments hold eight letters that come again soon, at one place
    in seven. The search itself tries every length at every letter, which is most of what a report takes.
    """
    return any(text.find(text[at : at + 8], at + 2, at + 68) >= 0 for at in range(0, len(text) - 8, 7))
