"""Exact and near-duplicates among texts or images, in memory that does not grow with the number of rows.

Each text is reduced to a MinHash signature of its word 5-grams (128 permutations). Candidate pairs come from
locality-sensitive hashing with b = 18 bands of r = 7 rows, both by `datasketch`; a candidate counts when its signature
agrees in at least 94 of the 128 values. So a pair of Jaccard similarity J is found with probability

    P(J) >= (1 - (1 - J^r)^b) * P[Binomial(128, J) >= 94]

which is 0.958 at J = 0.8, 0.999 at 0.85, 0.65 at 0.75, 0.18 at 0.7 and below 0.001 at 0.6. It is a lower bound, because
the two conditions are positively associated.

Up to `size` distinct texts are kept, and counted without sampling. Of more texts, those with the lowest keys are kept.
The key is a hash of the two 5-grams with the smallest hashes, which a pair shares with probability J^2. So duplicates
tend to be sampled together, and each near-duplicate in a sample is weighted by the inverse of the probability that it
shares its key with another member of its group, estimated from their signatures. The result depends neither on the
order of the rows nor on their division before `merge`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from oasis_ray.stats.sample import number

SIMILARITY = 0.8  # Jaccard similarity of the 5-grams from which two texts are near-duplicates
GRAM = 5
LETTER = r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"  # of scripts without spaces: each letter counts as a word
WORDS = re.compile(rf"{LETTER}|[^\W_{LETTER[1:-1]}]+")
PERMUTATIONS, SEED, SCHEME = 128, 1, "affine32"  # of datasketch's MinHash; signatures are uint32
BANDS, BAND_ROWS = 18, 7
AGREEING = 94  # permutations: 1.9 standard deviations below SIMILARITY, so that few true pairs are missed
AT_ONCE = 4096  # grams per call: datasketch needs memory for each of them and each permutation
WITNESSES = 16  # members of a group from which a weight is estimated; with this many it is close to 1
ODD = np.uint64(0x9E3779B97F4A7C15)  # a second order of the same hashes: times an odd number, modulo 2^64

Hashes = npt.NDArray[np.uint64]
Signature = npt.NDArray[np.uint32]
Rank = tuple[int, int]  # key, hash of the content


@dataclass
class Text:
    """A distinct text (or image): its number of rows, the first of their ids by name, and its signature."""

    rows: int
    id: str
    signature: Signature | None

    def count(self, rows: int, name: str) -> None:
        """Count rows that have this text, one of them with the id `name`."""
        self.rows += rows
        self.id = min(self.id, name)


@dataclass
class Group:
    """A group of near-duplicates: its first text, the number of others, and the sum of their weights in a sample."""

    key: int
    members: list[Signature]  # the first WITNESSES
    others: int = 0
    weight: float = 0.0
    several_keys: bool = False

    def add(self, key: int, signature: Signature) -> None:
        """Add a text, weighted by the inverse of the probability that it shares its key with a member."""
        agreeing = (np.stack(self.members) == signature).reshape(len(self.members), -1, 2).all(axis=2)
        self.weight += 1 / float(agreeing.any(axis=0).mean())
        self.others += 1
        self.several_keys |= key != self.key
        if len(self.members) < WITNESSES:
            self.members.append(signature)

    @property
    def estimate(self) -> float:
        """The estimated number of near-duplicates; unweighted for a group that was sampled by several keys, whose texts
        are found whatever their key.
        """
        return self.others if self.several_keys else self.weight


@dataclass
class NearDuplicates:
    """Counter of exact duplicates and near-duplicates; `counts` gives the result."""

    size: int = 20_000
    rows: int = 0
    bound: Rank | None = None  # texts of this rank and above are not kept; None: all are
    texts: dict[Rank, Text] = field(default_factory=dict)

    def add_text(self, text: str, name: str) -> None:
        """Count a row's text. Near-duplicates may differ in case, punctuation and spacing, exact duplicates may not."""
        hashes = np.fromiter(_grams(text.lower()), np.uint64)
        if not len(hashes):
            self.rows += 1
            return
        rank = number(f"{hashes.min()} {(hashes * ODD).min()}"), number(text.strip())
        known = rank in self.texts or not self._kept(rank)
        self.add(*rank, None if known else signature_of(np.unique(hashes)), name)

    def add(self, key: int, content: int, signature: Signature | None, name: str) -> None:
        """Count a row whose near-duplicates share `key` and whose exact duplicates share `content`.

        Without signatures, all that share a key are near-duplicates.
        """
        self.rows += 1
        self._add((key, content), Text(1, name, signature))
        self._shrink(self.size * 3 // 2)

    def merge(self, other: "NearDuplicates") -> None:
        """Count all rows that `other` has counted."""
        self.rows += other.rows
        if other.bound is not None and self._kept(other.bound):
            self._lower(other.bound)
        for rank, text in other.texts.items():
            self._add(rank, text)
        self._shrink(self.size * 3 // 2)

    def counts(self) -> tuple[int, int, int]:
        """Return the rows in the sample, the exact duplicates among them, and the near-duplicates among the rest."""
        self._shrink(self.size)
        rows = sum(text.rows for text in self.texts.values())
        return rows, rows - len(self.texts), self._near()

    def most(self, shown: int) -> list[tuple[str, int]]:
        """Return the ids and numbers of rows of the most frequent texts in the sample."""
        self._shrink(self.size)
        repeated = [text for text in self.texts.values() if text.rows > 1]
        return [(text.id, text.rows) for text in sorted(repeated, key=lambda text: (-text.rows, text.id))[:shown]]

    def _kept(self, rank: Rank) -> bool:
        return self.bound is None or rank < self.bound

    def _add(self, rank: Rank, text: Text) -> None:
        if rank in self.texts:
            self.texts[rank].count(text.rows, text.id)
        elif self._kept(rank):
            self.texts[rank] = Text(text.rows, text.id, text.signature)

    def _shrink(self, limit: int) -> None:
        """Keep the `size` lowest ranks where there are more than `limit`."""
        if len(self.texts) > limit:
            self._lower(sorted(self.texts)[self.size])

    def _lower(self, bound: Rank) -> None:
        self.bound = bound
        self.texts = {rank: text for rank, text in self.texts.items() if rank < bound}

    def _near(self) -> int:
        without = [key for (key, _), text in self.texts.items() if text.signature is None]
        texts = [(key, text.signature) for (key, _), text in sorted(self.texts.items()) if text.signature is not None]
        near = sum(group.others if self.bound is None else group.estimate for group in grouped(texts))
        return len(without) - len(set(without)) + min(round(near), max(0, len(texts) - 1))


def signature_of(hashes: Hashes) -> Signature:
    """Return the MinHash signature of a set of 64-bit hashes: [PERMUTATIONS] uint32."""
    minhash = _empty().copy()
    for start in range(0, len(hashes), AT_ONCE):
        minhash.update_batch(hashes[start : start + AT_ONCE] & np.uint64(0xFFFFFFFF))
    signature: Signature = minhash.hashvalues
    return signature


@cache
def _empty() -> Any:
    """Return an empty MinHash to copy: drawing its permutations takes longer than reading a text."""
    from datasketch import MinHash  # imports parts of scipy, which takes half a second

    return MinHash(PERMUTATIONS, seed=SEED, hashfunc=int, scheme=SCHEME)


def grouped(texts: Iterable[tuple[int, Signature]]) -> list[Group]:
    """Return groups of near-duplicates from keys and signatures.

    A text joins the group whose first text it is most similar to; where it is similar to none, it begins a group.
    """
    from datasketch import LeanMinHash, MinHashLSH

    index = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, BAND_ROWS))
    firsts = np.empty((64, PERMUTATIONS), np.uint32)
    groups: list[Group] = []
    for key, signature in texts:
        minhash = LeanMinHash(seed=SEED, hashvalues=signature, scheme=SCHEME)
        candidates = np.sort(np.array(index.query(minhash), np.int64))
        agreeing = (firsts[candidates] == signature).sum(axis=1)
        if len(candidates) and agreeing.max() >= AGREEING:
            groups[candidates[agreeing.argmax()]].add(key, signature)
            continue
        if len(groups) == len(firsts):
            firsts = np.concatenate([firsts, np.empty_like(firsts)])
        firsts[len(groups)] = signature
        index.insert(len(groups), minhash, check_duplication=False)
        groups.append(Group(key, [signature]))
    return groups


def _grams(text: str) -> Iterator[int]:
    words = WORDS.findall(text)
    for start in range(max(1, len(words) - GRAM + 1)) if words else ():
        yield number(" ".join(words[start : start + GRAM]))
