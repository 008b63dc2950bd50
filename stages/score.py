"""Score: judges texts on one axis of a scale, from 1 (worst) to 5 (best) unless `scale` says otherwise.

The four axes of Oasis' quality control (arXiv 2503.08741) are four nodes of this stage, with one prompt each. A new
axis needs a prompt file and a node in the recipe.
"""

import re
from dataclasses import dataclass, field

from pydantic import Field, model_validator

from oasis_ray.stage import (
    FAILED,
    REJECTED,
    Divert,
    Image,
    ModelStage,
    PromptField,
    Reply,
    Request,
    Slots,
)  # fmt: skip

NUMBER = r"-?\d+(?:[.,]\d+)?"


@dataclass(frozen=True, slots=True)
class In:
    """What is judged: the texts that the prompt reads, and `image` if the judge should see it."""

    image: Image | None = None
    texts: Slots = field(default_factory=Slots)


@dataclass(frozen=True, slots=True)
class Out:
    """The score, and the whole reply of the judge, for audits."""

    score: int
    reply: str


class Score(ModelStage[In, Out]):
    """Asks a judge for a score, and rejects rows whose score is not accepted.

    Without `accept` the score is only noted. Rows with a score in `near_miss` leave by the exit `near_miss`.
    """

    prompt: PromptField = Field(description="The prompt. It asks for a score in double square brackets: `[[4]]`.")
    accept: tuple[int, ...] | None = Field(
        None, description="Scores with which a row is accepted. Without it every score is."
    )
    scale: tuple[int, int] = Field((1, 5), description="The lowest and the highest score.")
    near_miss: tuple[int, ...] = Field((), description="Scores with which a row leaves by the exit `near_miss`.")
    terse: bool = Field(
        False, description="Let the judge write only the score. Cheaper, but the judge scores without reasoning first."
    )

    @property
    def judges(self) -> bool:
        """Whether scores decide over rows."""
        return self.accept is not None

    @property
    def exits(self) -> tuple[str, ...]:
        """The exit of near misses."""
        return ("near_miss",) if self.near_miss else ()

    @property
    def exits_with_output(self) -> tuple[str, ...]:
        """A near miss has its score and the judge's reply."""
        return self.exits

    @model_validator(mode="after")
    def _within_the_scale(self) -> "Score":
        low, high = self.scale
        if not 0 <= low < high:
            raise ValueError(
                f"scale goes from the lowest score, at least 0, to the highest, such as [1, 5], not {list(self.scale)}"
            )
        possible = set(range(low, high + 1))
        if self.accept is not None and (not self.accept or not set(self.accept) <= possible):
            raise ValueError(
                f"accept lists scores from {low} to {high}, such as [{high - 1}, {high}], not {list(self.accept)}"
            )
        if self.near_miss and (self.accept is None or not set(self.near_miss) <= possible - set(self.accept)):
            raise ValueError(f"near_miss lists scores from {low} to {high} that `accept` lacks")
        return self

    def requests(self, row: In) -> list[Request]:
        """Return one request, with the image first if there is one."""
        images = () if row.image is None else (row.image,)
        low, high = self.scale
        verdicts = tuple(f"[[{score}]]" for score in range(low, high + 1))
        return [
            Request(self.prompt.fill(row.texts), images, sampling=self.sampling, choices=verdicts if self.terse else ())
        ]

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """Parse the last `[[n]]` or `【n分】` of the reply, or else its last number. Only integers count."""
        reply, finish = replies[0].text, replies[0].samples[0].finish
        low, high = self.scale
        # "4/5" says 4.
        of_highest = rf"(?:[\s*_(]*(?:/|\uff0f|out of|von|sur|de)\s*{_either(high)}(?!\d))?"
        bracketed = rf"\[\[\s*({NUMBER}){of_highest}\s*\]\]|\u3010\s*({NUMBER})\s*\u5206?\s*\u3011"
        bare = rf"(?<![a-z_\d.-])({NUMBER}){of_highest}(?![a-z_\d])"
        # In a reply that was cut off, a bare number may be part of the reasoning, before the score.
        numbers = [first or second for first, second in re.findall(bracketed, reply, re.IGNORECASE)]
        numbers = numbers or (re.findall(bare, reply, re.IGNORECASE) if finish == "stop" else [])
        if not numbers:
            return Divert(FAILED, "no_verdict", reply)
        if (
            len(numbers[-1]) > max(2, len(str(high)))
            or not numbers[-1].isdecimal()
            or not low <= int(numbers[-1]) <= high
        ):
            return Divert(FAILED, "verdict_out_of_range", reply)
        out = Out(int(numbers[-1]), reply)
        if out.score in self.near_miss:
            return Divert("near_miss", f"score_{out.score}", reply, out)
        return out if self.accepts(out) else Divert(REJECTED, f"score_{out.score}", reply, out)

    def accepts(self, out: Out) -> bool:
        """Whether the score is accepted."""
        return self.accept is None or out.score in self.accept


def _either(number: int) -> str:
    """Return a pattern of a number in ASCII or full-width digits."""
    return "".join(f"[{digit}{chr(0xFF10 + int(digit))}]" for digit in str(number))
