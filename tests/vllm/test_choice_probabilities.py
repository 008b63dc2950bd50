"""The probabilities of choices on real vLLM: those that the model's own logits give."""

from pathlib import Path

import pytest

from oasis_ray.input.image_admission import admit
from oasis_ray.job.limits import Limits
from oasis_ray.types import Call, Request
from tests.support.choice_softmax import softmax_of_choices
from tests.support.engines import SHORT, Kept
from tests.support.models import LLM, VLM
from tests.support.shards import picture

YES_OR_NO = ("Yes", "No")


@pytest.mark.parametrize("choices", [YES_OR_NO, ("The", "A", "Several"), ("Kind", "Instruction", "[[5]]")])
def test_the_probability_of_a_choice_is_the_softmax_of_its_first_tokens(
    engines: tuple[Kept, Path], choices: tuple[str, ...]
) -> None:
    request = Request("What color is the circle?", sampling=SHORT, choices=choices, weigh=True)
    for pool, model in (("llm", LLM), ("vlm", VLM)):
        (reply,) = engines[0].ask(pool, Call(request, "r", 1))
        found = reply.samples[0].probabilities
        assert found is not None
        assert found == pytest.approx(softmax_of_choices(model, request), abs=0.03)
        assert reply.text in choices


def test_a_probability_depends_on_the_image_and_not_on_what_was_asked_before(engines: tuple[Kept, Path]) -> None:
    images = [admit(picture(color), Limits()) for color in ("red", "navy", "red")]
    asked = [Request("Is it red?", (image,), sampling=SHORT, choices=YES_OR_NO, weigh=True) for image in images]
    replies = engines[0].ask("vlm", *(Call(request, "r", 1) for request in asked))
    red, navy, again = (reply.samples[0].probabilities for reply in replies)
    assert red is not None and navy is not None and again is not None
    assert red == pytest.approx(again, abs=0.02)
    assert sum(red.values()) == pytest.approx(1)
    assert red != pytest.approx(navy, abs=1e-6)
