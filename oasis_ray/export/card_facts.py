"""Statistics of the rows for a data set card: lengths of texts and languages."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.export import exchanges
from oasis_ray.export.row_language import detect

LOOKED_AT = 500  # rows whose language is detected; langdetect takes milliseconds for each
SPEAKERS = {"instruction": "human", "response": "gpt"}
TEXTS = tuple(SPEAKERS)
A_WORD = r"[^\s\x{85}\p{Z}]+"  # as Python's `split` finds them


class Facts:
    """Collects statistics from the rows that pass through `watch`."""

    def __init__(self) -> None:
        self._words: dict[str, list[np.ndarray]] = {name: [] for name in TEXTS}
        self._languages: Counter[str] = Counter()
        self.several = False  # whether a conversation has several exchanges

    def watch(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """Yield the tables unchanged, and count their rows."""
        for table in tables:
            for name in TEXTS:
                further = exchanges.later(table.column("conversations"), SPEAKERS[name])
                self.several |= len(further) > 0
                for texts in (table.column(name), further):
                    self._words[name].append(np.asarray(pc.count_substring_regex(texts, A_WORD)))
            wanted = LOOKED_AT - self._languages.total()
            for row in table.slice(0, wanted).select(["language", *TEXTS, "conversations"]).to_pylist():
                said = exchanges.sides(row["instruction"], row["response"], row["conversations"])
                self._languages[row["language"] or detect(exchanges.joined(*said))] += 1
            yield table

    @property
    def languages(self) -> dict[str, float]:
        """Languages and their shares of the rows examined, the most common first."""
        ordered = sorted(self._languages.items(), key=lambda pair: (-pair[1], pair[0]))
        return {name: rows / self.looked_at for name, rows in ordered}

    @property
    def looked_at(self) -> int:
        """The number of rows whose language was detected."""
        return self._languages.total()

    def lengths(self) -> dict[str, dict[str, Any]]:
        """Return the numbers of words by text: median, 95th percentile and maximum."""
        lengths = {}
        for name, counts in self._words.items():
            words = np.concatenate(counts)
            lengths[name] = {
                "median": int(np.median(words)), "p95": int(np.percentile(words, 95)), "most": int(words.max()),
            }  # fmt: skip
        return lengths
