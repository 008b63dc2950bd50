"""Hooks: a model gets an image in an open user turn, and writes several turns, one independent of the other.

It is the step `hook` of Oasis (arXiv 2503.08741) with several samples, for which the image is processed once.
"""

from dataclasses import dataclass

from pydantic import Field, model_validator

from oasis_ray.stage import REJECTED, Divert, ModelStage, Reply, Request, Sampling

from .hook import SAMPLING, In, open_turn


@dataclass(frozen=True, slots=True)
class Out:
    """Texts as users might have typed them under the image, or captions; `truncated` for each that was cut off."""

    texts: list[str]
    truncated: list[bool]


class Hooks(ModelStage[In, Out]):
    """Asks for several user turns. Empty ones are left out."""

    n: int = Field(ge=1, le=64, description="Number of turns to sample.")
    sampling: Sampling = Field(SAMPLING, description="Sampling of the texts: [its keys](job.md#sampling).")

    @model_validator(mode="after")
    def _samples_can_differ(self) -> "Hooks":
        if self.n > 1 and self.sampling.temperature == 0:
            raise ValueError(f"n {self.n} samples the same turn each time at temperature 0; set sampling.temperature")
        return self

    def requests(self, row: In) -> list[Request]:
        """Return one request for `n` samples, with the user's turn open after the image and the opening."""
        return [open_turn(row, self.sampling, self.n)]

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """Return the texts without surrounding white space, or reject a row that has none."""
        samples = [sample for sample in replies[0].samples if sample.text.strip()]
        if not samples:
            return Divert(REJECTED, "empty_hook", replies[0].text)
        return Out([sample.text.strip() for sample in samples], [sample.finish == "length" for sample in samples])
