"""A sample that does not depend on the order of the rows: those with the lowest hashes."""

from dataclasses import dataclass, field
from typing import Any

from xxhash import xxh3_64_intdigest


def number(text: str, seed: int = 0) -> int:
    """A number of 64 bits for a text, the same everywhere: what decides whether a row is in a sample."""
    return xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"), seed=seed)


@dataclass
class HashSample:
    """The `size` items with the lowest numbers: a random sample that does not depend on the order of the rows."""

    size: int
    items: dict[int, Any] = field(default_factory=dict)
    bound: int = 2**64  # an item of this number or a higher one is not among the lowest

    def add(self, rank: int, item: Any) -> None:
        """Offer an item. Of two with one number the lesser stays, so that the order does not matter."""
        if rank < self.bound:
            self.items[rank] = min(item, self.items.get(rank, item))
            if len(self.items) >= 2 * self.size:
                self._cut()

    def merge(self, other: "HashSample") -> None:
        """Offer all items of `other`."""
        for rank, item in other.items.items():
            self.add(rank, item)

    def chosen(self) -> list[Any]:
        """The items, the lowest number first."""
        self._cut()
        return list(self.items.values())

    def _cut(self) -> None:
        lowest = sorted(self.items)[: self.size]
        if len(lowest) == self.size:
            self.bound = lowest[-1]
        self.items = {rank: self.items[rank] for rank in lowest}
