"""Answer the instruction (Oasis, arXiv 2503.08741, step 3). The instruction itself is the user's turn.

`best_of` draws several answers and keeps the likeliest, by mean log-likelihood a token: the paper's ablation of
response filtering. It is 1 by default, because the paper found that filtering hurts (−0.7%).
"""

import math
from dataclasses import dataclass

from pydantic import Field, model_validator

from oasis_ray.stage import GREEDY, Divert, Image, ModelStage, Reply, Request, Route, Sampling


@dataclass(frozen=True, slots=True)
class In:
    """The picture, and what is asked about it."""

    instruction: str
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class Out:
    """The assistant's turn; its mean log-likelihood a token where several were drawn."""

    text: str
    likelihood: float | None


class Respond(ModelStage[In, Out]):
    """Asks for the assistant's turn."""

    sampling: Sampling = GREEDY
    best_of: int = Field(1, ge=1, le=64, description="Answers to draw; the likeliest is kept.")
    keep_truncated: bool = Field(False, description="Take an answer that was cut off at max_tokens.")

    @model_validator(mode="after")
    def _can_differ(self) -> "Respond":
        if self.best_of > 1 and self.sampling.temperature == 0:
            raise ValueError(
                f"best_of {self.best_of} draws the same answer each time at temperature 0; set sampling.temperature"
            )
        return self

    def requests(self, row: In) -> list[Request]:
        """One request for `best_of` samples."""
        images = () if row.image is None else (row.image,)
        return [Request(row.instruction, images, sampling=self.sampling, n=self.best_of, likelihood=self.best_of > 1)]

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """The likeliest answer that is whole and not empty; the first of equals."""
        samples = replies[0].samples
        whole = [sample for sample in samples if self.keep_truncated or sample.finish == "stop"]
        said = [sample for sample in whole if sample.text.strip()]
        if not whole:
            return Divert(Route.REJECTED, "response_truncated", samples[0].text)
        if not said:
            return Divert(Route.REJECTED, "empty_response", samples[0].text)
        best = max(said, key=lambda sample: sample.likelihood if sample.likelihood is not None else -math.inf)
        return Out(best.text.strip(), best.likelihood)
