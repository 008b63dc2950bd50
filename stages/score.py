"""Judge one axis from 1 (worst) to 5 (best): of an instruction, of a response, or of a caption.

The four axes of Oasis' quality control (arXiv 2503.08741) are this stage four times, with a prompt each. A new axis is
a prompt file and a node of the recipe.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field, field_validator

from oasis_ray.stage import GREEDY, Divert, Image, ModelStage, PromptField, Reply, Request, Route, Sampling

NUMBER = r"-?\d+(?:[.,]\d+)?"
OF_FIVE = r"(?:[\s*_(]*(?:/|\uff0f|out of|von|sur|de)\s*[5\uff15](?!\d))?"  # "4/5" says 4
VERDICTS = tuple(f"[[{score}]]" for score in range(1, 6))
BRACKETED = re.compile(rf"\[\[\s*({NUMBER}){OF_FIVE}\s*\]\]", re.IGNORECASE)
BARE = re.compile(rf"(?<![a-z_\d.-])({NUMBER}){OF_FIVE}(?![a-z_\d])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class In:
    """What is judged. Which of the texts are there, the prompt decides; `image` where the judge should see it."""

    image: Image | None = None
    instruction: str = ""
    response: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Out:
    """The score, and the judge's whole text, kept for audit."""

    score: int
    reply: str


class Score(ModelStage[In, Out]):
    """Asks a judge, and rejects the row where its score is not among those accepted."""

    judges: ClassVar[bool] = True

    prompt: PromptField
    accept: tuple[int, ...] = Field(description="The scores with which a row goes on.")
    sampling: Sampling = GREEDY
    terse: bool = Field(
        False, description="Let the judge write the verdict alone. Cheaper, and it judges before it has thought."
    )

    @field_validator("accept")
    @classmethod
    def _within_the_scale(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or not set(value) <= set(range(1, 6)):
            raise ValueError(f"accept lists scores from 1 to 5, such as [4, 5], not {list(value)}")
        return value

    def requests(self, row: In) -> list[Request]:
        """One question, with the image first where the judge sees it."""
        texts = {"instruction": row.instruction, "response": row.response, "caption": row.caption}
        images = () if row.image is None else (row.image,)
        return [
            Request(self.prompt.fill(texts), images, sampling=self.sampling, choices=VERDICTS if self.terse else ())
        ]

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """The last `[[n]]` of the reply, else its last number; what is no whole number from 1 to 5 is no score."""
        reply, finish = replies[0].text, replies[0].samples[0].finish
        # A reply that was cut off has numbers in its reasons, and no verdict yet.
        found = BRACKETED.findall(reply) or (BARE.findall(reply) if finish == "stop" else [])
        if not found:
            return Divert(Route.FAILED, "no_verdict", reply)
        if len(found[-1]) > 2 or not found[-1].isdecimal() or not 1 <= int(found[-1]) <= 5:
            return Divert(Route.FAILED, "verdict_out_of_range", reply)
        out = Out(int(found[-1]), reply)
        return out if self.accepts(out) else Divert(Route.REJECTED, f"score_{out.score}", reply, out)

    def accepts(self, out: Out) -> bool:
        """Whether the score is among those accepted."""
        return out.score in self.accept
