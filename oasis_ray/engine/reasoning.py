"""Reasoning: what a model thought before its answer, kept apart from the answer, for every kind of engine."""

from oasis_ray.errors import RowError

OPEN, CLOSE = "<think>", "</think>"  # as DeepSeek-R1, Qwen3 and QwQ write them
SHOWN = 200  # characters of a text in a message


def answer_of(text: str, reasoning: str = "") -> tuple[str, str]:
    """The answer in a reply, and the reasoning before it.

    reasoning: what a server has split off already. Raises RowError `reply_only_reasoning` where no answer follows.
    """
    thought, answer = split_reasoning(text)
    reasoning = reasoning or thought
    if reasoning and not answer:
        advice = "raise max_tokens, or switch the model's thinking off"
        raise RowError("reply_only_reasoning", f"the model has only thought; {advice}: {shortened(reasoning)}")
    return answer, reasoning


def split_reasoning(text: str) -> tuple[str, str]:
    """The reasoning in a text and the answer after it; a text without reasoning is all answer.

    Reasoning that never ends leaves no answer. A chat template may open it, and then only its end is in the reply.
    """
    thought, end, said = text.partition(CLOSE)
    opened = text.lstrip().startswith(OPEN)
    if not opened and (not end or OPEN in thought):
        return "", text
    if not end:
        return text.lstrip().removeprefix(OPEN).strip(), ""
    return thought.lstrip().removeprefix(OPEN).strip(), said.lstrip()


def shortened(value: object) -> str:
    """A value as one line of 200 characters at most."""
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
