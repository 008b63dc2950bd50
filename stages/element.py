"""Element: takes one text out of a list, such as the first of several wordings."""

from dataclasses import dataclass

from pydantic import Field

from oasis_ray.stage import REJECTED, Divert, RowStage


@dataclass(frozen=True, slots=True)
class In:
    """A list of texts."""

    texts: list[str]


@dataclass(frozen=True, slots=True)
class Out:
    """The text."""

    text: str


class Element(RowStage[In, Out]):
    """Takes a text by its position. Rejects rows whose list is too short."""

    at: int = Field(0, description="The position, from 0; -1 is the last one.")

    def apply(self, row: In) -> Out | Divert:
        """Return the text, or reject the row."""
        if not -len(row.texts) <= self.at < len(row.texts):
            return Divert(REJECTED, "no_such_element", f"position {self.at} of {len(row.texts)}")
        return Out(row.texts[self.at])
