"""Poison rows: finds the row that ends every engine or worker that works on it.

When an engine or a worker is lost, every row that was with it is a possible cause. A row that was there twice is
suspected: it is tried without other suspected rows beside it, one at a time, while all other rows continue. A suspected
row whose trial succeeds is cleared; one that is lost twice on trial is poison. So a poison row costs four engines, and
a row that was only near it costs one trial. A place that fails on its own loses every suspected row; it is recognised
after three.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

IN_COMPANY = 2  # losses after which a row is suspected
ON_TRIAL = 2  # losses on trial after which it is poison
IN_A_ROW = 3  # poison rows with no cleared row between them, after which the place is at fault

Verdict = Literal["free", "wait", "trial", "poison", "broken"]


@dataclass
class PoisonDetector:
    """The losses at one place: a pool, or the workers."""

    losses: Counter[str] = field(default_factory=Counter)
    on_trial: Counter[str] = field(default_factory=Counter)
    trial: str | None = None
    poisoned: int = 0

    def lost(self, row: str) -> None:
        """Record that what worked on this row was lost."""
        if self.trial == row:
            self.trial = None
            self.on_trial[row] += 1
        self.losses[row] += 1

    def suspected(self, row: str) -> bool:
        """Whether the row was there at so many losses that it must be tried alone."""
        return self.losses[row] >= IN_COMPANY

    def verdict(self, row: str) -> Verdict:
        """Return how a row may be tried again.

        `free`: beside all others. `trial`: now, alone among suspected rows. `wait`: ask again later. `poison`: never.
        `broken`: row after row was lost on trial, so the place itself is at fault.
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
        """Record that the work on a suspected row succeeded."""
        if self.trial == row:
            self.poisoned = 0
        self.forget(row)

    def forget(self, row: str) -> None:
        """Forget a row that has ended, or that another worker starts again."""
        if self.trial == row:
            self.trial = None
        self.losses.pop(row, None)
        self.on_trial.pop(row, None)
