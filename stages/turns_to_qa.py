"""Turns_to_qa: takes the questions and answers out of a conversation; `question` and `answer` are the first ones.

Their texts are without `<image>`, which stands for the image in LLaVA's format.
"""

from dataclasses import dataclass

from oasis_ray.stage import FAILED, REJECTED, Divert, RowStage, Turn


@dataclass(frozen=True, slots=True)
class In:
    """A conversation."""

    turns: list[Turn]


@dataclass(frozen=True, slots=True)
class Out:
    """All questions and answers; `question` and `answer` are the first ones."""

    questions: list[str]
    answers: list[str]
    question: str
    answer: str


class TurnsToQa(RowStage[In, Out]):
    """Divides a conversation into questions and answers. Turns of the system are left out."""

    def apply(self, row: In) -> Out | Divert:
        """Return the questions and answers, or divert a row whose turns are not human and gpt in turn."""
        turns = [turn for turn in row.turns if turn.speaker != "system"]
        if not turns:
            return Divert(REJECTED, "no_turns")
        speakers = [turn.speaker for turn in turns]
        if speakers != ["human", "gpt"] * (len(turns) // 2):
            return Divert(FAILED, "conversation_broken", f"the speakers are: {', '.join(speakers)}")
        texts = [turn.text.replace("<image>", "").strip() for turn in turns]
        questions, answers = texts[::2], texts[1::2]
        return Out(questions, answers, questions[0], answers[0])
