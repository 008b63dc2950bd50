"""Bottom-k sample: the rows with the lowest hashes, whatever their order."""

from dataclasses import dataclass, field
from typing import Any

from xxhash import xxh3_64_intdigest


def number(text: str, seed: int = 0) -> int:
    """Return a 64-bit hash of a text (XXH3), the same on every machine."""
    return xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"), seed=seed)


@dataclass
class HashSample:
    """The `size` items of the lowest rank: a random sample, mergeable and independent of the order of the rows."""

    size: int
    items: dict[int, Any] = field(default_factory=dict)
    bound: int = 2**64  # items of this rank and above are not in the sample

    def add(self, rank: int, item: Any) -> None:
        """Offer an item. Of two of the same rank the lesser is kept, so that their order does not matter."""
        if rank < self.bound:
            self.items[rank] = min(item, self.items.get(rank, item))
            if len(self.items) >= 2 * self.size:
                self._cut()

    def merge(self, other: "HashSample") -> None:
        """Offer all items of `other`."""
        for rank, item in other.items.items():
            self.add(rank, item)

    def chosen(self) -> list[Any]:
        """Return the items by rank."""
        self._cut()
        return list(self.items.values())

    def _cut(self) -> None:
        lowest = sorted(self.items)[: self.size]
        if len(lowest) == self.size:
            self.bound = lowest[-1]
        self.items = {rank: self.items[rank] for rank in lowest}
