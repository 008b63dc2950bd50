"""The statistics as a job of Ray Data: pieces of a subject are counted in parallel, and the counts are merged as they
come. Memory does not grow with the rows: a worker holds some rows and one `Totals`, the driver one `Totals`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext
from tokenizers import Tokenizer

from oasis_ray.errors import JobError
from oasis_ray.job import expand
from oasis_ray.marks import read as read_marks
from oasis_ray.report.overlap import Benchmark
from oasis_ray.report.pictures import PictureTotals, Viewer, draw
from oasis_ray.report.subject import Piece, Subject, lots, read
from oasis_ray.report.totals import Spoken, Tokenize, Totals
from oasis_ray.report.verbs import load_parser

SAMPLE = 20_000  # rows whose language and verbs are looked at: a share is then right to 0.7 points
LOT = 500  # sampled texts that one task looks at


class Counter:
    """Counts pieces. Ray Data makes one in each worker."""

    def __init__(
        self,
        sample: int,
        tokenizer: str | None,
        benchmarks: Sequence[Benchmark],
        marks: Mapping[str, Sequence[str]],
    ) -> None:
        self._sample, self._benchmarks, self._marks = sample, benchmarks, marks
        self._tokenize = tokenize_with(tokenizer) if tokenizer else None

    def __call__(self, batch: Mapping[str, Sequence[Piece]]) -> dict[str, list[Totals | JobError]]:
        """One piece in, its totals out."""
        totals = Totals(self._sample)
        try:
            for piece in batch["piece"]:
                for rows in read(piece):
                    totals.add(rows, self._tokenize, self._benchmarks, self._marks)
        except JobError as error:
            return {"totals": [error]}  # raised, Ray would wrap it in pages of its own
        return {"totals": [totals]}


class Linguist:
    """Names languages and finds root verbs in texts. Ray Data makes one in each worker."""

    def __init__(self) -> None:
        self._parser = load_parser()

    def __call__(self, batch: Mapping[str, Sequence[tuple[str, list[str]]]]) -> dict[str, list[Spoken]]:
        """Some texts of one kind in, what they are written in out."""
        spoken = Spoken()
        for text, words in batch["lot"]:
            spoken.add(text, words, self._parser)
        return {"spoken": [spoken]}


def gather(
    subject: Subject, *, sample: int = SAMPLE, tokenizer: str | None = None, benchmarks: Sequence[Benchmark] = ()
) -> tuple[Totals, Spoken, PictureTotals]:
    """Count a subject's rows on the cluster that this process has joined."""
    said = opinions(subject)
    totals, spoken, pictures = Totals(sample), Spoken(), PictureTotals()
    for found in _each(list(subject.pieces), "piece", Counter, (sample, tokenizer, list(benchmarks), said)):
        if isinstance(found["totals"], JobError):
            raise found["totals"]
        totals.merge(found["totals"])
    some = [(text, words) for text, kept in totals.texts.items() for words in lots(kept.chosen(), LOT)]
    for found in _each(some, "lot", Linguist, ()):
        spoken.merge(found["spoken"])
    for found in _each(list(draw(subject)), "piece", Viewer, ()):
        pictures.merge(found["totals"])
    return totals, spoken, pictures


def opinions(subject: Subject) -> dict[str, list[str]]:
    """What people said of the rows of a run on this machine, by the rows' ids."""
    said: dict[str, list[str]] = {}
    if subject.manifest is not None and "://" not in subject.path:
        for mark in read_marks(Path(expand(subject.path))).latest.values():
            said.setdefault(mark.id, []).append(str(mark.mark))
    return said


def _each(items: list[Any], name: str, worker: Any, arguments: tuple[Any, ...]) -> Iterator[Mapping[str, Any]]:
    """What `worker` makes of every item, as it comes: a worker a CPU, as many as there are items at most."""
    if not items:
        return
    context = DataContext.get_current()
    context.enable_progress_bars = False
    workers = max(1, min(len(items), int(ray.cluster_resources().get("CPU", 1))))
    made = ray.data.from_items([{name: item} for item in items], override_num_blocks=len(items)).map_batches(
        worker, fn_constructor_args=arguments, batch_size=1, compute=ActorPoolStrategy(min_size=1, max_size=workers)
    )
    yield from made.iter_rows()


def tokenize_with(model: str) -> Tokenize:
    """Counts the tokens of texts as `model` cuts them. Raises OSError where its tokenizer is not on this machine, and
    ValueError where it can't be read.
    """
    file = Path(model) / "tokenizer.json"
    if file.is_file():  # by itself: to import transformers, and torch with it, takes longer than to count a demo
        return _count_with(file)
    from transformers import AutoTokenizer

    # Never from the hub: a report should not wait for a network that is not there.
    tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False, local_files_only=True)

    def count(texts: list[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]]

    return count


def _count_with(file: Path) -> Tokenize:
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library has no narrower one
        raise ValueError(f"{file} is no tokenizer: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: list[str]) -> list[int]:
        return [len(found.ids) for found in tokenizer.encode_batch(texts, add_special_tokens=False)]

    return count
