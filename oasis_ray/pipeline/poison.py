"""Which row did it? When an engine or a worker is lost, every row that was with it is a possible cause.

A row that was there twice is a suspect: it is tried alone among suspects, one at a time, while other rows go on. A
suspect whose trial ends well is cleared; one that is lost twice on trial is poison. So a row that kills what works on
it costs four engines, rows that merely stood beside it cost a trial each, and a machine that fails by itself, which
loses every suspect, is told from a poison row after three.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

IN_COMPANY = 2  # losses after which a row is a suspect
ON_TRIAL = 2  # losses on trial after which it is poison
IN_A_ROW = 3  # poison rows with no cleared one between them: it is not the rows

Verdict = Literal["free", "wait", "trial", "poison", "broken"]


@dataclass
class PoisonDetector:
    """The rows that were lost at one place, a pool or the workers."""

    losses: Counter[str] = field(default_factory=Counter)
    on_trial: Counter[str] = field(default_factory=Counter)
    trial: str | None = None
    poisoned: int = 0

    def lost(self, row: str) -> None:
        """What worked on this row was lost."""
        if self.trial == row:
            self.trial = None
            self.on_trial[row] += 1
        self.losses[row] += 1

    def suspected(self, row: str) -> bool:
        """Whether the row was lost too often to be tried beside others."""
        return self.losses[row] >= IN_COMPANY

    def verdict(self, row: str) -> Verdict:
        """How a row may be tried again: `free` beside all others, on `trial` now, after a `wait`, or never.

        `broken` where row after row was lost on trial: then the place fails by itself.
        """
        if not self.suspected(row):
            return "free"
        if self.on_trial[row] >= ON_TRIAL:
            self.forget(row)
            self.poisoned += 1
            return "broken" if self.poisoned >= IN_A_ROW else "poison"
        if self.trial not in (None, row):
            return "wait"
        self.trial = row
        return "trial"

    def cleared(self, row: str) -> None:
        """A suspect's work was done."""
        if self.trial == row:
            self.poisoned = 0
        self.forget(row)

    def forget(self, row: str) -> None:
        """The row has ended, or is tried by somebody else from its beginning."""
        if self.trial == row:
            self.trial = None
        self.losses.pop(row, None)
        self.on_trial.pop(row, None)
