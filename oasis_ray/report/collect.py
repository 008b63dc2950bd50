"""Count a subject: its pieces are counted one by one, and the totals are merged. Small subjects are counted in this
process, others as a job of Ray Data. Both ways apply the same workers to the same pieces, so the figures are equal.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from oasis_ray.explore.annotations import read as read_marks
from oasis_ray.report.apply import Apply, apply_here
from oasis_ray.report.dataset import Dataset, FileGroup, has_more_rows, lots, read
from oasis_ray.report.image_counter import ImageCounter, draw
from oasis_ray.report.tokens import tokenize_with
from oasis_ray.report.totals import Spoken, Totals
from oasis_ray.stats.contamination import Benchmark
from oasis_ray.stats.image_measures import ImageTotals
from oasis_ray.storage import expand

SAMPLE = 20_000  # rows whose language and verbs are looked at: a share is then right to 0.7 points
LOT = 500  # sampled texts that one task looks at
ROWS_HERE = 2000  # a subject of at most so many rows is counted in this process: a cluster would take longer to start


class TextCounter:
    """Counts pieces. There is one in each worker process."""

    def __init__(
        self,
        sample: int,
        tokenizer: str | None,
        benchmarks: Sequence[Benchmark],
        marks: Mapping[str, Sequence[str]],
    ) -> None:
        self._sample, self._benchmarks, self._marks = sample, benchmarks, marks
        self._tokenize = tokenize_with(tokenizer) if tokenizer else None

    def __call__(self, piece: FileGroup) -> Totals:
        """The totals of a piece. Raises JobError for what can't be read."""
        totals = Totals(self._sample)
        for rows in read(piece):
            totals.add(rows, self._tokenize, self._benchmarks, self._marks)
        return totals


class LanguageCounter:
    """Names languages and finds root verbs in texts."""

    def __call__(self, lot: tuple[str, list[str]]) -> Spoken:
        """What some texts of one kind are written in."""
        spoken = Spoken()
        spoken.add(*lot)
        return spoken


def gather(
    subject: Dataset,
    *,
    sample: int = SAMPLE,
    tokenizer: str | None = None,
    benchmarks: Sequence[Benchmark] = (),
    rows_here: int = ROWS_HERE,
) -> tuple[Totals, Spoken, ImageTotals]:
    """Count a subject's rows: at most `rows_here` rows in this process, more on Ray."""
    apply = way(subject, rows_here)
    totals, spoken, pictures = Totals(sample), Spoken(), ImageTotals()
    for counted in apply(TextCounter, (sample, tokenizer, list(benchmarks), opinions(subject)), subject.pieces):
        totals.merge(counted)
    some = [(text, words) for text, kept in totals.texts.items() for words in lots(kept.chosen(), LOT)]
    for heard in apply(LanguageCounter, (), some):
        spoken.merge(heard)
    for seen in apply(ImageCounter, (), list(draw(subject))):
        pictures.merge(seen)
    return totals, spoken, pictures


def way(subject: Dataset, rows_here: int = ROWS_HERE) -> Apply:
    """How a subject is counted: at most `rows_here` rows in this process, more as a job of Ray Data."""
    if not has_more_rows(subject, rows_here):
        return apply_here
    from oasis_ray.report.parallel import apply_on_ray  # Ray is imported only where it is used

    return apply_on_ray


def opinions(subject: Dataset) -> dict[str, list[str]]:
    """What people said of the rows of a run on this machine, by the rows' ids."""
    said: dict[str, list[str]] = {}
    if subject.manifest is not None and "://" not in subject.path:
        for mark in read_marks(Path(expand(subject.path))).latest.values():
            said.setdefault(mark.id, []).append(str(mark.mark))
    return said
