"""Hook: a model gets an image in an open user turn, and writes the turn (Oasis, arXiv 2503.08741, step 1).

Without an image a text model writes the turn, as in Magpie (arXiv 2406.08464).
"""

from dataclasses import dataclass

from pydantic import Field

from oasis_ray.stage import REJECTED, Divert, Image, ModelStage, Reply, Request, Sampling


@dataclass(frozen=True, slots=True)
class In:
    """The image if there is one, and a text with which the turn begins, such as a caption of the image."""

    image: Image | None = None
    opening: str = ""


@dataclass(frozen=True, slots=True)
class Out:
    """A text as a user might have typed it under the image, or a caption; `truncated` if it was cut off."""

    text: str
    truncated: bool


# That of the paper's authors for Qwen2-VL.
SAMPLING = Sampling(temperature=1.0, top_k=20, top_p=1.0, max_tokens=512, min_tokens=50)


def open_turn(row: In, sampling: Sampling, n: int = 1) -> Request:
    """Return the request for `n` samples of a user's turn, open after the image and the opening, or at its beginning.

    After an opening the turn continues with a new paragraph.
    """
    images = () if row.image is None else (row.image,)
    opening = f"{row.opening.rstrip()}\n\n" if row.opening.strip() else ""
    return Request(opening, images, speaker="user", sampling=sampling, n=n)


class Hook(ModelStage[In, Out]):
    """Asks for the user's turn. The sampling is that of the paper's authors for Qwen2-VL."""

    sampling: Sampling = Field(SAMPLING, description="Sampling of the texts: [its keys](job.md#sampling).")

    def requests(self, row: In) -> list[Request]:
        """Return one request, with the user's turn open after the image and the opening, or at its beginning."""
        return [open_turn(row, self.sampling)]

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """Return the text, without surrounding white space."""
        sample = replies[0].samples[0]
        text = sample.text.strip()
        if not text:
            return Divert(REJECTED, "empty_hook", sample.text)
        return Out(text, sample.finish == "length")
