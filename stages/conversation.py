"""Conversation: makes a conversation of questions and their answers, the form of LLaVA's data (arXiv 2304.08485)."""

from dataclasses import dataclass

from oasis_ray.stage import FAILED, REJECTED, Divert, RowStage, Turn


@dataclass(frozen=True, slots=True)
class In:
    """Questions, and the answer of each."""

    questions: list[str]
    answers: list[str]


@dataclass(frozen=True, slots=True)
class Out:
    """The conversation: human and gpt in turn."""

    turns: list[Turn]


class Conversation(RowStage[In, Out]):
    """Joins questions and answers. Rejects a row that has none."""

    @property
    def text_from(self) -> tuple[str, ...]:
        """The questions."""
        return ("questions",)

    def apply(self, row: In) -> Out | Divert:
        """Return the conversation, or divert the row."""
        if len(row.questions) != len(row.answers):
            return Divert(FAILED, "lists_differ", f"questions: {len(row.questions)}, answers: {len(row.answers)}")
        if not row.questions:
            return Divert(REJECTED, "no_turns")
        pairs = zip(row.questions, row.answers, strict=True)
        return Out([turn for asked, said in pairs for turn in (Turn("human", asked), Turn("gpt", said))])
