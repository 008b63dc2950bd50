"""Score: judges one axis of an instruction, a response or a caption, from 1 (worst) to 5 (best).

The four axes of Oasis' quality control (arXiv 2503.08741) are four nodes of this stage, with one prompt each. A new
axis needs a prompt file and a node in the recipe.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field, field_validator

from oasis_ray.stage import FAILED, GREEDY, REJECTED, Divert, Image, ModelStage, PromptField, Reply, Request, Sampling

NUMBER = r"-?\d+(?:[.,]\d+)?"
OF_FIVE = r"(?:[\s*_(]*(?:/|\uff0f|out of|von|sur|de)\s*[5\uff15](?!\d))?"  # "4/5" says 4
VERDICTS = tuple(f"[[{score}]]" for score in range(1, 6))
BRACKETED = re.compile(rf"\[\[\s*({NUMBER}){OF_FIVE}\s*\]\]", re.IGNORECASE)
BARE = re.compile(rf"(?<![a-z_\d.-])({NUMBER}){OF_FIVE}(?![a-z_\d])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class In:
    """What is judged. The prompt determines which of the texts are needed; `image` if the judge should see it."""

    image: Image | None = None
    instruction: str = ""
    response: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Out:
    """The score, and the whole reply of the judge, for audits."""

    score: int
    reply: str


class Score(ModelStage[In, Out]):
    """Asks a judge for a score, and rejects rows whose score is not accepted."""

    judges: ClassVar[bool] = True

    prompt: PromptField
    accept: tuple[int, ...] = Field(description="Scores with which a row is accepted.")
    sampling: Sampling = GREEDY
    terse: bool = Field(
        False, description="Let the judge write only the score. Cheaper, but the judge scores without reasoning first."
    )

    @field_validator("accept")
    @classmethod
    def _within_the_scale(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or not set(value) <= set(range(1, 6)):
            raise ValueError(f"accept lists scores from 1 to 5, such as [4, 5], not {list(value)}")
        return value

    def requests(self, row: In) -> list[Request]:
        """Return one request, with the image first if there is one."""
        texts = {"instruction": row.instruction, "response": row.response, "caption": row.caption}
        images = () if row.image is None else (row.image,)
        return [
            Request(self.prompt.fill(texts), images, sampling=self.sampling, choices=VERDICTS if self.terse else ())
        ]

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """Parse the last `[[n]]` of the reply, or else its last number. Only integers from 1 to 5 are scores."""
        reply, finish = replies[0].text, replies[0].samples[0].finish
        # In a reply that was cut off, a bare number may be part of the reasoning, before the score.
        numbers = BRACKETED.findall(reply) or (BARE.findall(reply) if finish == "stop" else [])
        if not numbers:
            return Divert(FAILED, "no_verdict", reply)
        if len(numbers[-1]) > 2 or not numbers[-1].isdecimal() or not 1 <= int(numbers[-1]) <= 5:
            return Divert(FAILED, "verdict_out_of_range", reply)
        out = Out(int(numbers[-1]), reply)
        return out if self.accepts(out) else Divert(REJECTED, f"score_{out.score}", reply, out)

    def accepts(self, out: Out) -> bool:
        """Whether the score is accepted."""
        return out.score in self.accept
