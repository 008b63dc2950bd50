"""Compute the statistics of the report from the totals."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from typing import Any, TypeVar

from oasis_ray.output.outcomes import kept
from oasis_ray.output.scales import USUAL, Scale, scales_of
from oasis_ray.report import statistics as schema
from oasis_ray.report.dataset import Dataset
from oasis_ray.report.kinds import EXCHANGES, IMAGE, kinds_of, records_by_kind
from oasis_ray.report.run_summary import of_run
from oasis_ray.report.score_statistics import Axis, Correlation, Measure, NumberBin
from oasis_ray.report.totals import UNITS, Matches, Spoken, Totals
from oasis_ray.stats.defects import KINDS
from oasis_ray.stats.histogram import Histogram
from oasis_ray.stats.image_measures import ImageTotals
from oasis_ray.stats.verbs import parser_name
from oasis_ray.types import DROPPED

VERB_FROM = 0.01  # the paper shows the root verbs of over 1% of the instructions, with three nouns each
NOUNS = 3
MOST = 5  # most frequent texts to list

K = TypeVar("K", str, tuple[str, str])


def summarise(
    dataset: Dataset, totals: Totals, spoken: Spoken, images: ImageTotals | None, notes: list[str]
) -> schema.DatasetStatistics:
    """Return the statistics of a data set. `notes` state what could not be counted."""
    outcomes: Counter[str] = Counter()
    for (_, outcome), rows in totals.outcomes.items():
        outcomes[outcome] += rows
    texts = kinds_of(dataset.outcomes)
    of = {text: outcomes[record] for text, record in records_by_kind(dataset.outcomes).items()}
    return schema.DatasetStatistics(
        name=dataset.name,
        kind="run" if dataset.manifest else "data set",
        rows=outcomes.total(),
        outcomes={outcome: outcomes[outcome] for outcome in dataset.outcomes},
        notes=notes,
        lengths=[
            _lengths(text, unit, totals.lengths[text, unit])
            for text in texts
            for unit in UNITS
            if totals.lengths[text, unit].rows
        ]
        + [
            _lengths(record, EXCHANGES, totals.exchanges[record])
            for record in kept(dataset.outcomes)
            if totals.exchanges[record].most > 1
        ],
        languages=_languages(spoken),
        verbs=_verbs(spoken),
        scores=_scores(totals, dataset.manifest),
        measures=_measures(totals, dataset.manifest),
        correlations=list(_correlations(totals)),
        duplicates=list(_duplicates(totals, texts)),
        defects=[
            schema.Finding(
                text=text,
                kind=kind,
                rows=totals.defects[text, kind].rows,
                of=of[text],
                examples=_names(totals.defects[text, kind]),
            )
            for text in texts
            if of[text]
            for kind in KINDS
        ],
        cut_off=dict(_most(totals.cut)),
        overlaps=[
            schema.Overlap(benchmark=name, text=text, rows=matches.rows, of=of[text], examples=_names(matches))
            for (name, text), matches in sorted(totals.overlaps.items())
        ],
        pictures=_images(images, sum(outcomes[name] for name in kept(dataset.outcomes))) if images else None,
        origins=_origins(totals, texts),
        marks=_marks(totals),
        **(of_run(dataset.path, dataset.manifest, totals, outcomes) if dataset.manifest else {}),
    )


def _lengths(text: str, unit: str, lengths: Histogram) -> schema.TextLengths:
    return schema.TextLengths(
        text=text, unit=unit, rows=lengths.rows, mean=lengths.mean, deviation=lengths.deviation,
        percentiles=lengths.percentiles(), histogram=_histogram(lengths),
    )  # fmt: skip


def _histogram(lengths: Histogram) -> list[schema.Bin]:
    return [schema.Bin(low=low, high=high, rows=rows) for low, high, rows in lengths.histogram()]


def _languages(spoken: Spoken) -> schema.Languages:
    sampled: Counter[str] = Counter()
    rows: Counter[tuple[str, str]] = Counter()
    unsure: Counter[tuple[str, str]] = Counter()
    for (text, language, sure), count in spoken.languages.items():
        sampled[text] += count
        rows[text, language] += count
        unsure[text, language] += 0 if sure else count
    return schema.Languages(
        sampled=dict(sampled),
        found=[
            schema.Language(text=text, language=language, rows=count, unsure=unsure[text, language])
            for (text, language), count in _most(rows)
        ],
    )


def _verbs(spoken: Spoken) -> schema.Verbs | None:
    parser = parser_name()
    if parser is None or not spoken.parsed:
        return None
    verbs: Counter[str] = Counter()
    nouns: dict[str, Counter[str]] = defaultdict(Counter)
    for (verb, noun), rows in spoken.verbs.items():
        verbs[verb] += rows
        if noun is not None:
            nouns[verb][noun] += rows
    return schema.Verbs(
        parser=parser, parsed=spoken.parsed, verbless=spoken.verbless,
        verbs=[
            schema.Verb(verb=verb, rows=rows,
                      nouns=[schema.Noun(noun=noun, rows=count) for noun, count in _most(nouns[verb])[:NOUNS]])
            for verb, rows in _most(verbs) if rows > VERB_FROM * spoken.parsed
        ],
    )  # fmt: skip


def _scores(totals: Totals, manifest: Mapping[str, Any] | None) -> list[Axis]:
    by_axis: dict[str, dict[int, int]] = {name: {} for name in _nodes(manifest)}
    scales = scales_of(manifest) if manifest else {}
    for (axis, score), rows in sorted(totals.scores.items()):
        by_axis.setdefault(axis, {})[score] = rows
    return [
        Axis(
            axis=axis,
            counts=counts,
            mean=sum(score * rows for score, rows in counts.items()) / sum(counts.values()),
            low=low,
            high=high,
            elements=axis in totals.of_elements,
        )
        for axis, counts in by_axis.items()
        if counts
        for low, high in [_scale(scales.get(axis), counts)]
    ]


def _nodes(manifest: Mapping[str, Any] | None) -> list[str]:
    return [str(node["name"]) for node in (manifest or {}).get("nodes", ())]


def _scale(given: Scale | None, counts: Mapping[int, int]) -> Scale:
    """Return the scale of these scores: the given one, or the usual one if it has them all, and else their range.

    A run that was resumed with another scale has scores beyond the given one, by which it is extended.
    """
    least, most = min(counts), max(counts)
    if given is None:
        return USUAL if USUAL[0] <= least and most <= USUAL[1] else (least, most)
    return min(given[0], least), max(given[1], most)


def _measures(totals: Totals, manifest: Mapping[str, Any] | None) -> list[Measure]:
    order = {name: place for place, name in enumerate(_nodes(manifest))}
    return [
        Measure(
            axis=axis, rows=numbers.rows, mean=numbers.mean, least=numbers.least, most=numbers.most,
            percentiles=numbers.percentiles(), at_least=numbers.grid.at_least(),
            elements=axis in totals.of_elements,
            histogram=[NumberBin(low=low, high=high, rows=rows) for low, high, rows in numbers.grid.histogram()],
        )
        for axis, numbers in sorted(totals.measures.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))
        if numbers.rows
    ]  # fmt: skip


def _correlations(totals: Totals) -> Iterator[Correlation]:
    pairs: dict[tuple[str, str], Counter[tuple[int, int]]] = defaultdict(Counter)
    for (one, other, score, its), rows in sorted(
        totals.both.items()
    ):  # a fixed order, so that sums of floats are reproducible
        pairs[one, other][score, its] += rows
    for (one, other), counts in sorted(pairs.items()):
        elements = one in totals.of_elements
        yield Correlation(one=one, other=other, rows=counts.total(), pearson=pearson(counts), elements=elements)


def pearson(counts: Mapping[tuple[int, int], int]) -> float | None:
    """Return the Pearson correlation of two scores from the counts of pairs, None if one of them is constant."""
    rows = sum(counts.values())
    x = sum(a * n for (a, _), n in counts.items()) / rows
    y = sum(b * n for (_, b), n in counts.items()) / rows
    xx = sum((a - x) ** 2 * n for (a, _), n in counts.items())
    yy = sum((b - y) ** 2 * n for (_, b), n in counts.items())
    xy = sum((a - x) * (b - y) * n for (a, b), n in counts.items())
    return xy / sqrt(xx * yy) if xx and yy else None


def _duplicates(totals: Totals, texts: Sequence[str]) -> Iterator[schema.Duplicates]:
    for what in (*texts, IMAGE):
        if what in totals.twins:
            twins = totals.twins[what]
            sampled, exact, near = twins.counts()
            yield schema.Duplicates(
                what=what, rows=twins.rows, sampled=sampled, exact=exact, near=near, most=dict(twins.most(MOST))
            )


def _images(images: ImageTotals, of: int) -> schema.Pictures:
    return schema.Pictures(
        looked_at=images.looked_at, of=of, unreadable=images.unreadable,
        formats=dict(_most(images.formats)), near=images.twins.counts()[2],
        sizes=[
            schema.Sizes(measure=measure, mean=sizes.mean, percentiles=sizes.percentiles(), histogram=_histogram(sizes))
            for measure, sizes in images.sizes.items()
        ],
    )  # fmt: skip


def _origins(totals: Totals, texts: Sequence[str]) -> list[schema.Origin]:
    outcomes: dict[str | None, dict[str, int]] = defaultdict(dict)
    for (origin, outcome), rows in totals.outcomes.items():
        outcomes[origin][outcome] = rows
    if set(outcomes) <= {None}:
        return []
    return [
        schema.Origin(
            origin=origin,
            outcomes=counts,
            words={text: totals.origins[origin, text].mean for text in texts if totals.origins[origin, text].rows},
        )
        for origin, counts in sorted(outcomes.items(), key=lambda item: (-sum(item[1].values()), item[0] or ""))
    ]


def _marks(totals: Totals) -> schema.Marks | None:
    """Return people's marks by outcome, and Cohen's kappa of good or bad with kept or not."""
    if not totals.marked:
        return None
    marks: dict[str, Counter[str]] = {"good": Counter(), "bad": Counter()}
    table: Counter[tuple[bool, bool]] = Counter()
    for (outcome, mark), rows in totals.marked.items():
        marks[mark][outcome] += rows
        table[outcome not in DROPPED, mark == "good"] += rows
    return schema.Marks(marks=table.total(), good=dict(marks["good"]), bad=dict(marks["bad"]), kappa=kappa(table))


def kappa(table: Mapping[tuple[bool, bool], int]) -> float | None:
    """Return Cohen's kappa of two binary raters from the counts of pairs, None if agreement by chance is certain."""
    rows = sum(table.values())
    agreed = sum(count for (one, other), count in table.items() if one == other) / rows
    yes = [sum(count for pair, count in table.items() if pair[who]) / rows for who in (0, 1)]
    chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    return (agreed - chance) / (1 - chance) if chance < 1 else None


def _most(counts: Counter[K]) -> list[tuple[K, int]]:
    """Return counts in descending order, ties by name, so that the result does not depend on the order of the rows."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _names(matches: Matches) -> list[str]:
    return [str(name) for name in matches.sample.chosen()]
