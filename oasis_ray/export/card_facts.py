"""What a data set's card tells of its rows: how long the texts are, and in which languages."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.export.language import detect

LOOKED_AT = 500  # rows whose language is told; langdetect takes milliseconds for each
TEXTS = ("instruction", "response")
A_WORD = r"[^\s\x{85}\p{Z}]+"  # what Python's `split` takes for one


class Facts:
    """Counts rows while they pass by."""

    def __init__(self) -> None:
        self._words: dict[str, list[np.ndarray]] = {name: [] for name in TEXTS}
        self._languages: Counter[str] = Counter()

    def watch(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """The same tables, counted."""
        for table in tables:
            for name in TEXTS:
                words = pc.count_substring_regex(table.column(name), A_WORD)
                self._words[name].append(np.asarray(words))
            wanted = LOOKED_AT - self._languages.total()
            for row in table.slice(0, wanted).select(["language", *TEXTS]).to_pylist() if wanted else ():
                self._languages[row["language"] or detect(f"{row['instruction']} {row['response']}")] += 1
            yield table

    @property
    def languages(self) -> dict[str, float]:
        """Languages and their shares among the rows looked at, the commonest first."""
        ordered = sorted(self._languages.items(), key=lambda pair: (-pair[1], pair[0]))
        return {name: rows / self.looked_at for name, rows in ordered}

    @property
    def looked_at(self) -> int:
        """The rows whose language was told."""
        return self._languages.total()

    def lengths(self) -> dict[str, dict[str, Any]]:
        """Words by text: the median, the 95th percentile, and the most."""
        told = {}
        for name, counted in self._words.items():
            words = np.concatenate(counted)
            told[name] = {
                "median": int(np.median(words)), "p95": int(np.percentile(words, 95)), "most": int(words.max()),
            }  # fmt: skip
        return told
