"""Count a data set: count its file groups one by one, and merge the totals.

Small data sets are counted in this process, others as a Ray Data job. Both apply the same workers to the same file
groups, so the results are equal.
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

SAMPLE = 20_000  # rows sampled for languages and verbs: shares are then accurate to 0.7 percentage points
LOT = 500  # sampled texts per task
ROWS_HERE = 2000  # data sets of up to this many rows are counted in this process: a cluster would take longer to start


class TextCounter:
    """Counts rows and texts of file groups. Each worker process has one."""

    def __init__(
        self,
        sample: int,
        tokenizer: str | None,
        benchmarks: Sequence[Benchmark],
        marks: Mapping[str, Sequence[str]],
    ) -> None:
        self._sample, self._benchmarks, self._marks = sample, benchmarks, marks
        self._tokenize = tokenize_with(tokenizer) if tokenizer else None

    def __call__(self, group: FileGroup) -> Totals:
        """Return the totals of a file group. Raises JobError if a file can't be read."""
        totals = Totals(self._sample)
        for rows in read(group):
            totals.add(rows, self._tokenize, self._benchmarks, self._marks)
        return totals


class LanguageCounter:
    """Detects languages and root verbs in texts."""

    def __call__(self, lot: tuple[str, list[str]]) -> Spoken:
        """Return languages and root verbs of a lot: a kind of text, and texts."""
        spoken = Spoken()
        spoken.add(*lot)
        return spoken


def gather(
    dataset: Dataset,
    *,
    sample: int = SAMPLE,
    tokenizer: str | None = None,
    benchmarks: Sequence[Benchmark] = (),
    rows_here: int = ROWS_HERE,
) -> tuple[Totals, Spoken, ImageTotals]:
    """Count the rows, languages and images of a data set: up to `rows_here` rows in this process, more on Ray."""
    apply = way(dataset, rows_here)
    totals, spoken, images = Totals(sample), Spoken(), ImageTotals()
    for group_totals in apply(TextCounter, (sample, tokenizer, list(benchmarks), opinions(dataset)), dataset.pieces):
        totals.merge(group_totals)
    sampled = [(kind, texts) for kind, kept in totals.texts.items() for texts in lots(kept.chosen(), LOT)]
    for lot_totals in apply(LanguageCounter, (), sampled):
        spoken.merge(lot_totals)
    for image_totals in apply(ImageCounter, (), list(draw(dataset))):
        images.merge(image_totals)
    return totals, spoken, images


def way(dataset: Dataset, rows_here: int = ROWS_HERE) -> Apply:
    """Return how a data set is counted: up to `rows_here` rows in this process, more as a Ray Data job."""
    if not has_more_rows(dataset, rows_here):
        return apply_here
    from oasis_ray.report.parallel import apply_on_ray  # imported only if needed: Ray is slow to import

    return apply_on_ray


def opinions(dataset: Dataset) -> dict[str, list[str]]:
    """Return people's marks of the rows of a run on this machine, by row id."""
    marks: dict[str, list[str]] = {}
    if dataset.manifest is not None and "://" not in dataset.path:
        for mark in read_marks(Path(expand(dataset.path))).latest.values():
            marks.setdefault(mark.id, []).append(str(mark.mark))
    return marks
