"""A conversation is written as text for a prompt, and gets another exchange."""

import pytest
from oasis_ray.content.stages import add_exchange, transcript

from oasis_ray.stage import Turn

TALK = [Turn("system", "Be brief."), Turn("human", "<image>\nWhat is it?"), Turn("gpt", "A cat.\nA grey one.")]


@pytest.mark.parametrize(
    ("turns", "keys", "text"),
    [
        (TALK, {}, "User: What is it?\n\nAssistant: A cat.\nA grey one."),
        (TALK, {"human": "问", "gpt": "答"}, "问: What is it?\n\n答: A cat.\nA grey one."),
        ([], {}, ""),
        ([Turn("human", "Assistant: no"), Turn("gpt", "{{x}}")], {}, "User: Assistant: no\n\nAssistant: {{x}}"),
    ],
)
def test_a_transcript_has_a_paragraph_per_turn(turns: list[Turn], keys: dict[str, str], text: str) -> None:
    assert transcript.Transcript(**keys).apply(transcript.In(turns)) == transcript.Out(text)


def test_an_exchange_is_added_at_the_end() -> None:
    out = add_exchange.AddExchange().apply(add_exchange.In(TALK, "Is it old?", "No."))
    assert out.turns == [*TALK, Turn("human", "Is it old?"), Turn("gpt", "No.")]
    assert len(TALK) == 3
