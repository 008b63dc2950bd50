"""Reasoning: divides the reply of a reasoning model into its thought and its answer (VL-Thinking, arXiv 2504.11468).

As in MM-INF's recipe VLThinking, the answer is what follows the last `</think>`, and a reply without one is rejected.
"""

from dataclasses import dataclass

from pydantic import Field

from oasis_ray.stage import REJECTED, Divert, RowStage


@dataclass(frozen=True, slots=True)
class In:
    """A reply, with the tags that surround its thought."""

    text: str


@dataclass(frozen=True, slots=True)
class Out:
    """The whole reply, its thought without tags, and its answer."""

    text: str
    thought: str
    answer: str


class Reasoning(RowStage[In, Out]):
    """Divides a reply. Rejects one whose thought does not end, or that has no answer."""

    open: str = Field("<think>", min_length=1, description="The tag before the thought; a chat template may write it.")
    close: str = Field("</think>", min_length=1, description="The tag after the thought.")

    def apply(self, row: In) -> Out | Divert:
        """Return the parts, or reject the row."""
        thought, end, answer = row.text.rpartition(self.close)
        if not end:
            return Divert(REJECTED, "no_reasoning_end", row.text)
        if not answer.strip():
            return Divert(REJECTED, "empty_answer", row.text)
        thought = thought.replace(self.close, "").replace(self.open, "")
        return Out(row.text, thought.strip(), answer.strip())
