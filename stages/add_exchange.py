"""Add_exchange: adds a question and its answer to a conversation, such as a follow-up to one of the input."""

from dataclasses import dataclass

from oasis_ray.stage import RowStage, Turn


@dataclass(frozen=True, slots=True)
class In:
    """A conversation, a question and its answer."""

    turns: list[Turn]
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Out:
    """The conversation with two more turns."""

    turns: list[Turn]


class AddExchange(RowStage[In, Out]):
    """Adds a turn of the human and one of the model at the end."""

    @property
    def text_from(self) -> tuple[str, ...]:
        """The conversation and the question."""
        return ("turns", "question")

    def apply(self, row: In) -> Out:
        """Return the longer conversation."""
        return Out([*row.turns, Turn("human", row.question), Turn("gpt", row.answer)])
