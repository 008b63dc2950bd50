"""Branch: sends a row to the route that `routes` gives for its word, such as a word from `pick` or `classify`."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from oasis_ray.stage import FAILED, Divert, RowStage, nearest


@dataclass(frozen=True, slots=True)
class In:
    """The word."""

    choice: str


@dataclass(frozen=True, slots=True)
class Out:
    """The word of a row that stays on its route."""

    choice: str


class Branch(RowStage[In, Out]):
    """Diverts rows by their word. A row whose word is not listed stays on its route."""

    routes: dict[str, str] = Field(min_length=1, description="The route of each word: `{word: route}`.")
    otherwise: Literal["stay", "failed"] = Field(
        "stay", description="What happens to rows with another word: they stay on their route, or fail."
    )

    @property
    def exits(self) -> tuple[str, ...]:
        """The routes, each once."""
        return tuple(dict.fromkeys(self.routes.values()))

    def word_problems(self, words: Mapping[str, Collection[str]]) -> list[str]:
        """Report routes of words that no row has."""
        possible = words.get("choice")
        if possible is None:
            return []
        return [
            f"no row has the word '{word}' (possible: {', '.join(possible)}).{nearest(word, possible)}"
            for word in self.routes
            if word not in possible
        ]

    def apply(self, row: In) -> Out | Divert:
        """Divert the row, or return its word."""
        if row.choice in self.routes:
            return Divert(self.routes[row.choice], f"branch_{_slug(row.choice)}", row.choice)
        if self.otherwise == "failed":
            return Divert(FAILED, "no_branch", f"{row.choice!r} is not one of: {', '.join(self.routes)}")
        return Out(row.choice)


def _slug(word: str) -> str:
    return re.sub(r"\W+", "_", word.casefold()).strip("_")
