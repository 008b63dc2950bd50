"""Transcript: writes a conversation as text, so that a prompt can show it."""

from dataclasses import dataclass

from pydantic import Field

from oasis_ray.stage import RowStage, Turn


@dataclass(frozen=True, slots=True)
class In:
    """A conversation."""

    turns: list[Turn]


@dataclass(frozen=True, slots=True)
class Out:
    """The conversation as text: one paragraph per turn, each after the name of its speaker."""

    text: str


class Transcript(RowStage[In, Out]):
    """Writes turns one after another. Turns of the system are left out, and so is `<image>`."""

    human: str = Field("User", min_length=1, description="The name of the human speaker.")
    gpt: str = Field("Assistant", min_length=1, description="The name of the model.")

    def apply(self, row: In) -> Out:
        """Return the transcript."""
        names = {"human": self.human, "gpt": self.gpt}
        lines = [
            f"{names[turn.speaker]}: {turn.text.replace('<image>', '').strip()}"
            for turn in row.turns
            if turn.speaker in names
        ]
        return Out("\n\n".join(lines))
