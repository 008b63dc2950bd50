"""Reasoning: separates the reasoning of a model from its answer, for all engines."""

from oasis_ray.errors import RowError

OPEN, CLOSE = "<think>", "</think>"  # as DeepSeek-R1, Qwen3 and QwQ write them
SHOWN = 200  # characters of a text that messages show


def answer_of(text: str, reasoning: str = "") -> tuple[str, str]:
    """Return the answer in a reply, and the reasoning before it.

    reasoning: reasoning that a server has already separated. Raises RowError `reply_only_reasoning` if there is no
    answer.
    """
    thought, answer = split_reasoning(text)
    reasoning = reasoning or thought
    if reasoning and not answer:
        advice = "raise max_tokens, or disable the model's reasoning"
        raise RowError("reply_only_reasoning", f"the reply has only reasoning; {advice}: {shortened(reasoning)}")
    return answer, reasoning


def split_reasoning(text: str) -> tuple[str, str]:
    """Split a text into reasoning and answer; a text without reasoning is all answer.

    Unclosed reasoning has no answer. A chat template may open the reasoning; then only its end tag is in the reply.
    """
    thought, end, answer = text.partition(CLOSE)
    opened = text.lstrip().startswith(OPEN)
    if not opened and (not end or OPEN in thought):
        return "", text
    if not end:
        return text.lstrip().removeprefix(OPEN).strip(), ""
    return thought.lstrip().removeprefix(OPEN).strip(), answer.lstrip()


def shortened(value: object) -> str:
    """Return a value as one line of at most 200 characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
