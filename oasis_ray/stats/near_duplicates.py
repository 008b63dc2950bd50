"""Duplicates, exact and near, in memory that does not grow with the rows.

Texts that are alike share a *key*: the two smallest-hash word 5-grams (MinHash, Broder 1997), so texts alike to J get
the same key with probability J². Rows are sampled by their key, not one by one: of the keys whose numbers are below a
bound, all rows are kept, of the others none, and the bound sinks as the sample fills. So what is a duplicate among all
rows is one in the sample too, and shares can be read off it. Up to `size` distinct texts nothing is left out, and the
shares are exact for copies; near ones are found at the rate above, so theirs is a lower bound.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from oasis_ray.stats.sample import number

ALIKE = 0.8  # Jaccard similarity of the 5-grams from which on two texts are near-duplicates
GRAM = 5
LETTER = r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # of scripts without spaces each is a word of its own
SIGNATURE = 64  # smallest hashes that are kept of a text, to estimate the similarity of two
CROWD = 500  # distinct texts of one key that are told apart; more than so many alike are all near-duplicates
WORDS = re.compile(rf"{LETTER}|[^\W_{LETTER[1:-1]}]+")
ODD = np.uint64(0x9E3779B97F4A7C15)  # a second order of the same hashes: times an odd number, modulo 2^64

Hashes = npt.NDArray[np.uint64]


@dataclass
class Same:
    """One text (or image): how many rows have it, the first of their ids by name, and its signature."""

    rows: int
    id: str
    signature: Hashes | None

    def count(self, rows: int, name: str) -> None:
        """Count rows that have it, one of which is called `name`."""
        self.rows += rows
        self.id = min(self.id, name)


@dataclass
class NearDuplicates:
    """Counts rows that are copies of others, and rows that are nearly so."""

    size: int = 20_000
    rows: int = 0
    bound: int = 2**64  # keys below it are kept
    keys: dict[int, dict[int, Same]] = field(default_factory=dict)
    crowded: dict[int, int] = field(default_factory=dict)  # rows of a key beyond its first CROWD distinct texts
    held: int = 0

    def add_text(self, text: str, name: str) -> None:
        """Count a row's text. Case, punctuation and spacing are not looked at for nearness; copies are exact."""
        hashes = np.fromiter(_grams(text.lower()), np.uint64)
        if len(hashes):
            key = number(f"{hashes.min()} {(hashes * ODD).min()}")
            if key < self.bound:
                self.add(key, number(text.strip()), np.unique(hashes)[:SIGNATURE], name)
                return
        self.rows += 1

    def add(self, key: int, mark: int, signature: Hashes | None, name: str) -> None:
        """Count a row whose likes have this `key` and whose copies have this `mark`."""
        self.rows += 1
        if key >= self.bound:
            return
        same = self.keys.setdefault(key, {})
        if mark in same:
            same[mark].count(1, name)
        elif len(same) >= CROWD:
            self.crowded[key] = self.crowded.get(key, 0) + 1
        else:
            same[mark] = Same(1, name, signature)
            self.held += 1
            self._shrink()

    def merge(self, other: "NearDuplicates") -> None:
        """Count all rows that `other` has counted."""
        self.rows += other.rows
        self.bound = min(self.bound, other.bound)
        for key, found in other.keys.items():
            same = self.keys.setdefault(key, {})
            for mark, one in found.items():
                if mark in same:
                    same[mark].count(one.rows, one.id)
                elif len(same) >= CROWD:
                    self.crowded[key] = self.crowded.get(key, 0) + one.rows
                else:
                    same[mark] = Same(one.rows, one.id, one.signature)
        for key, rows in other.crowded.items():
            self.crowded[key] = self.crowded.get(key, 0) + rows
        for key in [key for key in self.keys if key >= self.bound]:
            self._drop(key)
        self.held = sum(map(len, self.keys.values()))
        self._shrink()

    def _shrink(self) -> None:
        """Lower the bound where the sample is half as much again as it may be, until it fits."""
        if self.held <= self.size * 3 // 2:
            return
        for key in sorted(self.keys, reverse=True):
            if self.held <= self.size or len(self.keys) == 1:
                break
            self.held -= len(self.keys[key])
            self._drop(key)
            self.bound = key

    def _drop(self, key: int) -> None:
        self.keys.pop(key)
        self.crowded.pop(key, None)

    def counts(self) -> tuple[int, int, int]:
        """Rows in the sample, of these copies of another one, and of the rest nearly so."""
        sampled = sum(one.rows for same in self.keys.values() for one in same.values()) + sum(self.crowded.values())
        copies = sum(one.rows - 1 for same in self.keys.values() for one in same.values())
        near = sum(len(same) - len(_apart([same[mark] for mark in sorted(same)])) for same in self.keys.values())
        return sampled, copies, near + sum(self.crowded.values())

    def most(self, shown: int) -> list[tuple[str, int]]:
        """The ids of the rows that come most often, and how often, in the sample."""
        every = [one for same in self.keys.values() for one in same.values() if one.rows > 1]
        return [(one.id, one.rows) for one in sorted(every, key=lambda one: (-one.rows, one.id))[:shown]]


def _apart(every: list[Same]) -> list[Same]:
    """One of each group of texts that are alike; of images all have a key for being alike."""
    leaders: list[Same] = []
    for one in every:
        if not any(_alike(one.signature, leader.signature) for leader in leaders):
            leaders.append(one)
    return leaders


def _alike(one: Hashes | None, other: Hashes | None) -> bool:
    if one is None or other is None:
        return True
    union = np.union1d(one, other)[:SIGNATURE]
    shared = np.intersect1d(one, other, assume_unique=True)
    return float(np.isin(union, shared).mean()) >= ALIKE


def _grams(text: str) -> Iterator[int]:
    words = WORDS.findall(text)
    for start in range(max(1, len(words) - GRAM + 1)) if words else ():
        yield number(" ".join(words[start : start + GRAM]))
