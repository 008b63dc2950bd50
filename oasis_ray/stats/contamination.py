"""Benchmark contamination: word n-grams that a text shares with a benchmark."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oasis_ray.errors import JobError
from oasis_ray.input.json_items import IJSON, JSONError
from oasis_ray.stats.near_duplicates import WORDS
from oasis_ray.stats.sample import number
from oasis_ray.text_files import open_text

GRAM = 8  # words; 8 to 13 are usual, and instructions are short
FORMATS = (".txt", ".json", ".jsonl", ".parquet")


class Benchmark:
    """The n-grams of a benchmark's texts, as sorted 64-bit hashes."""

    def __init__(self, name: str, texts: Iterator[str]) -> None:
        self.name = name
        grams = np.fromiter((gram for text in texts for gram in grams_of(text)), np.uint64)
        self.grams: npt.NDArray[np.uint64] = np.unique(grams)

    def shares(self, grams: npt.NDArray[np.uint64]) -> bool:
        """Return whether any of these n-grams occurs in the benchmark."""
        if not len(self.grams):
            return False
        nearest = np.searchsorted(self.grams, grams).clip(max=len(self.grams) - 1)
        return bool((self.grams[nearest] == grams).any())


def grams_of(text: str) -> npt.NDArray[np.uint64]:
    """Return the hashes of a text's n-grams, ignoring case and punctuation; none for a text of fewer than n words."""
    words = WORDS.findall(text.lower())
    return np.fromiter(
        (number(" ".join(words[at : at + GRAM]), seed=1) for at in range(len(words) - GRAM + 1)), np.uint64
    )


def read_benchmarks(paths: list[Path]) -> list[Benchmark]:
    """Read one benchmark per file, named after it: the lines of a .txt, all strings in a .json, .jsonl or .parquet.

    Raises JobError for files that do not exist or have another format.
    """
    problems = [f"--benchmark: there is no file {path}" for path in paths if not path.is_file()]
    problems += [
        f"--benchmark: {path} is none of {', '.join(FORMATS)}"
        for path in paths
        if path.is_file() and path.suffix not in FORMATS
    ]
    if problems:
        raise JobError(problems)
    return [Benchmark(path.name, _texts(path)) for path in paths]


def _texts(path: Path) -> Iterator[str]:
    import pyarrow.dataset as ds

    if path.suffix == ".parquet":
        for batch in ds.dataset(path).to_batches():
            yield from _strings(batch.to_pylist())
    elif path.suffix == ".txt":
        with path.open("rb") as stream:
            for line in open_text(stream, f"--benchmark: {path}"):
                yield line.decode(errors="replace")
    else:
        with path.open("rb") as stream:
            try:
                for _, event, value in IJSON.parse(open_text(stream, f"--benchmark: {path}"), multiple_values=True):
                    if event == "string":
                        yield value
            except JSONError as error:
                raise JobError([f"--benchmark: {path} can't be read as JSON: {error}"]) from None


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
