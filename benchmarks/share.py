"""Share: how many of how many, with its 95% interval."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        """0 to 1, or None of nothing."""
        return self.part / self.whole if self.whole else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval (Wilson 1927)."""
        if not self.whole:
            return 0.0, 1.0
        z, n, p = 1.959964, self.whole, self.part / self.whole
        middle, spread = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
        return max(0.0, (middle - spread) / (1 + z * z / n)), min(1.0, (middle + spread) / (1 + z * z / n))


def share(marks: list[bool]) -> Share:
    """The share of what is true."""
    return Share(sum(marks), len(marks))
