"""Make a report: count its subjects, and write `index.html` and `statistics.json`."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from oasis_ray.engine.model_files import local_folder
from oasis_ray.errors import JobError
from oasis_ray.report.collect import ROWS_HERE, SAMPLE, gather
from oasis_ray.report.dataset import NO_PAIR, Dataset, open_dataset
from oasis_ray.report.gallery import Shown, gallery
from oasis_ray.report.page import page
from oasis_ray.report.statistics import Statistics
from oasis_ray.report.summary import summarise
from oasis_ray.report.tokens import tokenize_with
from oasis_ray.report.totals import Totals
from oasis_ray.stats.contamination import read_benchmarks
from oasis_ray.storage import check_target, locate, make_folder
from oasis_ray.types import Outcome


def make(
    paths: Sequence[str],
    out: str | None = None,
    *,
    benchmarks: Sequence[Path] = (),
    sample: int = SAMPLE,
    tokenizer: str | None = None,
    rows_here: int = ROWS_HERE,
) -> tuple[str, Statistics]:
    """Report on what is at `paths`, side by side. A subject of at most `rows_here` rows is counted in this process.

    Writes to `out`, or into the first subject's folder `report`, and returns that folder and the statistics. The rows
    that are shown are the first subject's. Raises JobError where a path holds nothing that could be reported on.
    """
    subjects = [open_dataset(path) for path in paths]
    given = read_benchmarks(list(benchmarks))
    folder = out or _folder(subjects[0])
    check_target("--out", folder)
    model, note = _tokenizer(subjects, tokenizer)
    made, rows = [], list[Shown]()
    for subject in subjects:
        totals, spoken, pictures = gather(
            subject, sample=sample, tokenizer=model, benchmarks=given, rows_here=rows_here
        )
        made.append(summarise(subject, totals, spoken, pictures, [*([note] if note else []), *_without_pairs(totals)]))
        rows = rows or gallery(subject, totals)
    statistics = Statistics(subjects=made)
    fs, base = locate(folder)
    make_folder(fs, base)
    texts = {"statistics.json": statistics.model_dump_json(indent=2), "index.html": page(statistics, rows)}
    for name, text in texts.items():
        fs.pipe_file(f"{base.rstrip('/')}/{name}", text.encode("utf-8", "replace"))
    return folder, statistics


def _without_pairs(totals: Totals) -> Iterator[str]:
    """A note on records of a data set that hold no question with its answer."""
    if count := totals.reasons[str(Outcome.FAILED), "report", NO_PAIR]:
        yield f"records without a question and its answer (`conversations` or `messages`): {count}"


def _folder(subject: Dataset) -> str:
    if subject.manifest is not None:
        return f"{subject.path.rstrip('/')}/report"
    return os.path.join("report", subject.name)  # noqa: PTH118  (a run's may be a URL)


def _tokenizer(subjects: Sequence[Dataset], given: str | None) -> tuple[str | None, str]:
    """The model whose tokens are counted, and a note where there is none: the one that writes a run's first node."""
    model = given
    for manifest in (subject.manifest for subject in subjects if subject.manifest):
        pools: dict[str, Any] = manifest["job"]["pools"]
        name = next((node["pool"] for node in manifest["nodes"] if node["pool"]), None)
        if model is None and name is not None:
            asked = pools[name].get("tokenizer") or pools[name]["model"]
            model = str(local_folder(asked, manifest["pools"].get(name, {}).get("revision")) or asked)
    if model is None:
        return None, "Tokens were not counted: no run among the subjects names a model, and no --tokenizer was given."
    try:
        tokenize_with(model)
    except (OSError, ValueError) as error:
        if given:
            raise JobError([f"--tokenizer {given} can't be read: {str(error).splitlines()[0]}"]) from None
        return (
            None,
            f"Tokens were not counted: {model} has no tokenizer that can be read here (--tokenizer names one).",
        )
    return (str(Path(model).resolve()) if Path(model).is_dir() else model), ""
