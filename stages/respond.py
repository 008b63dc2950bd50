"""Respond: answers the instruction, which is the user's turn (Oasis, arXiv 2503.08741, step 3).

`best_of` samples several answers and keeps the one with the highest mean log-likelihood per token: the paper's ablation
of response filtering. It is 1 by default, because the paper found that filtering hurts (−0.7%).
"""

import math
from dataclasses import dataclass

from pydantic import Field, model_validator

from oasis_ray.stage import REJECTED, Divert, Image, ModelStage, Reply, Request


@dataclass(frozen=True, slots=True)
class In:
    """The instruction, and the image."""

    instruction: str
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class Out:
    """The assistant's turn, and its mean log-likelihood per token if several were sampled."""

    text: str
    likelihood: float | None


class Respond(ModelStage[In, Out]):
    """Asks for the assistant's turn."""

    best_of: int = Field(1, ge=1, le=64, description="Number of answers to sample; the most likely one is kept.")
    keep_truncated: bool = Field(False, description="Keep answers that were cut off at max_tokens.")

    @model_validator(mode="after")
    def _samples_can_differ(self) -> "Respond":
        if self.best_of > 1 and self.sampling.temperature == 0:
            raise ValueError(
                f"best_of {self.best_of} samples the same answer each time at temperature 0; set sampling.temperature"
            )
        return self

    def requests(self, row: In) -> list[Request]:
        """Return one request for `best_of` samples."""
        images = () if row.image is None else (row.image,)
        return [Request(row.instruction, images, sampling=self.sampling, n=self.best_of, likelihood=self.best_of > 1)]

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """Return the most likely answer that is complete and not empty; the first of equals."""
        samples = replies[0].samples
        complete = [sample for sample in samples if self.keep_truncated or sample.finish == "stop"]
        answers = [sample for sample in complete if sample.text.strip()]
        if not complete:
            return Divert(REJECTED, "response_truncated", samples[0].text)
        if not answers:
            return Divert(REJECTED, "empty_response", samples[0].text)
        best = max(answers, key=lambda sample: sample.likelihood if sample.likelihood is not None else -math.inf)
        return Out(best.text.strip(), best.likelihood)
