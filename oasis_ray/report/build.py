"""Build a report: count the data sets, and write `index.html` and `statistics.json`."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from oasis_ray.engine.model_files import local_folder
from oasis_ray.errors import JobError
from oasis_ray.report.collect import ROWS_HERE, SAMPLE, gather
from oasis_ray.report.dataset import NO_PAIR, NO_TEXT, Dataset, open_dataset
from oasis_ray.report.gallery import Shown, gallery
from oasis_ray.report.page import page
from oasis_ray.report.statistics import Statistics
from oasis_ray.report.summary import summarise
from oasis_ray.report.tokens import tokenize_with
from oasis_ray.report.totals import Totals
from oasis_ray.stats.contamination import read_benchmarks
from oasis_ray.storage import check_target, locate, make_folder
from oasis_ray.types import FAILED

NOTES = {
    NO_PAIR: "records without a question and an answer (`conversations` or `messages`)",
    NO_TEXT: "records with a lone surrogate in a text, which `oasis-ray ingest` passes over too",
}


def make(
    paths: Sequence[str],
    out: str | None = None,
    *,
    benchmarks: Sequence[Path] = (),
    sample: int = SAMPLE,
    tokenizer: str | None = None,
    rows_here: int = ROWS_HERE,
) -> tuple[str, Statistics]:
    """Write a report on the runs and data sets at `paths`. Those of up to `rows_here` rows are counted in this process.

    Writes to `out`, or to the folder `report` of the first one, and returns that folder and the statistics. The gallery
    shows rows of the first one. Raises JobError if a path is neither a run nor a data set.
    """
    datasets = [open_dataset(path) for path in paths]
    benchmark_texts = read_benchmarks(list(benchmarks))
    folder = out or _folder(datasets[0])
    check_target("--out", folder)
    model, note = _tokenizer(datasets, tokenizer)
    summaries, rows = [], list[Shown]()
    for dataset in datasets:
        totals, spoken, images = gather(
            dataset, sample=sample, tokenizer=model, benchmarks=benchmark_texts, rows_here=rows_here
        )
        notes = [*([note] if note else []), *_without_text(totals)]
        summaries.append(summarise(dataset, totals, spoken, images, notes))
        rows = rows or gallery(dataset, totals)
    statistics = Statistics(subjects=summaries)
    fs, base = locate(folder)
    make_folder(fs, base)
    texts = {"statistics.json": statistics.model_dump_json(indent=2), "index.html": page(statistics, rows)}
    for name, text in texts.items():
        fs.pipe_file(f"{base.rstrip('/')}/{name}", text.encode("utf-8", "replace"))
    return folder, statistics


def _without_text(totals: Totals) -> Iterator[str]:
    """Yield a note on the records of a data set that have no text, for each reason."""
    for reason, what in NOTES.items():
        if count := totals.reasons[FAILED, "report", reason]:
            yield f"{what}: {count}"


def _folder(dataset: Dataset) -> str:
    if dataset.manifest is not None:
        return f"{dataset.path.rstrip('/')}/report"
    return os.path.join("report", dataset.name)  # noqa: PTH118  (the path of a run may be a URL)


def _tokenizer(datasets: Sequence[Dataset], given: str | None) -> tuple[str | None, str]:
    """Return the model to count tokens with (default: the model of a run's first node), or None and a note."""
    model = given
    for manifest in (dataset.manifest for dataset in datasets if dataset.manifest):
        pools: dict[str, Any] = manifest["job"]["pools"]
        name = next((node["pool"] for node in manifest["nodes"] if node["pool"]), None)
        if model is None and name is not None:
            tokenizer = pools[name].get("tokenizer") or pools[name]["model"]
            model = str(local_folder(tokenizer, manifest["pools"].get(name, {}).get("revision")) or tokenizer)
    if model is None:
        return None, "Tokens were not counted: there is no run that names a model, and --tokenizer was not given."
    try:
        tokenize_with(model)
    except (OSError, ValueError) as error:
        if given:
            raise JobError([f"--tokenizer {given} can't be read: {str(error).splitlines()[0]}"]) from None
        return (
            None,
            f"Tokens were not counted: this machine has no usable tokenizer of {model} (--tokenizer names another).",
        )
    return (str(Path(model).resolve()) if Path(model).is_dir() else model), ""
