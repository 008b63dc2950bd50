"""Show a model an image and the opening of a user's turn: it writes the turn (Oasis, arXiv 2503.08741, step 1)."""

from dataclasses import dataclass

from oasis_ray.stage import Divert, Image, ModelStage, Reply, Request, Route, Sampling


@dataclass(frozen=True, slots=True)
class In:
    """The picture, and nothing else."""

    image: Image


@dataclass(frozen=True, slots=True)
class Out:
    """What a user might have typed under the picture, or a caption; `truncated` where it was cut off."""

    text: str
    truncated: bool


class Hook(ModelStage[In, Out]):
    """Writes the user's turn. Sampling as the paper's authors run Qwen2-VL."""

    sampling: Sampling = Sampling(temperature=1.0, top_k=20, top_p=1.0, max_tokens=512, min_tokens=50)

    def requests(self, row: In) -> list[Request]:
        """One request that leaves the user's turn open straight after the image."""
        return [Request(images=(row.image,), speaker="user", sampling=self.sampling)]

    def parse(self, row: In, replies: list[Reply]) -> Out | Divert:
        """The text as it was written, without white space around it."""
        sample = replies[0].samples[0]
        text = sample.text.strip()
        if not text:
            return Divert(Route.REJECTED, "empty_hook", sample.text)
        return Out(text, sample.finish == "length")
