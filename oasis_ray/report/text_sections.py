"""Report sections on texts and images: lengths, languages, root verbs, duplicates, defects, benchmark overlap."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import plotly.graph_objects as go

from oasis_ray.output.outcomes import kept
from oasis_ray.recipe.spec import Published
from oasis_ray.report.kinds import EXCHANGES, INSTRUCTION, RESPONSE, kinds_of
from oasis_ray.report.section import COLOURS, Plot, Section, Table, all_outcomes, count, histogram, plot, share, stacked
from oasis_ray.report.statistics import DatasetStatistics, TextLengths
from oasis_ray.stats.contamination import GRAM
from oasis_ray.stats.defects import KINDS
from oasis_ray.stats.near_duplicates import SIMILARITY
from oasis_ray.stats.verbs import ABSENT


def published(subjects: Iterable[DatasetStatistics]) -> list[Published]:
    """Return the published statistics that the recipes of these runs name, each once."""
    return list({one.published.name: one.published for one in subjects if one.published is not None}.values())


def lengths(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on the lengths of the texts."""
    every = [(subject, one) for subject in subjects for one in subject.lengths]
    if not every:
        return None
    plots: list[Plot] = []
    for text in kinds_of(all_outcomes(subjects)):
        each = text if text in (INSTRUCTION, RESPONSE) else f"text of {text}"
        plots += _lengths(every, text, "words", f"Words in each {each}", "texts")
    for record in kept(all_outcomes(subjects)):
        plots += _lengths(every, record, EXCHANGES, f"Exchanges in each record of {record}", "records")
    rows = [
        (subject.name, one.text, one.unit, count(one.rows), f"{one.mean:,.1f}", f"{one.deviation:,.1f}",
         *(count(one.percentiles[point]) for point in sorted(one.percentiles)))
        for subject, one in every
    ]  # fmt: skip
    points = [f"{point}%" for point in sorted(every[0][1].percentiles)]
    head = ("data set", "text", "unit", "texts", "mean", "standard deviation", *points)
    of_several = ["Of conversations, the texts of all exchanges are measured."] if _several(subjects) else []
    lead = " ".join(
        ["In tokens, words and characters.", *of_several, *(one.lengths for one in published(subjects) if one.lengths)]
    )
    return Section("lengths", "Lengths", lead, plots, [Table("Lengths and their percentiles", head, rows)])


def _lengths(
    every: Iterable[tuple[DatasetStatistics, TextLengths]], text: str, unit: str, label: str, what: str
) -> Iterator[Plot]:
    """Yield the histogram of the lengths of one text in one unit, if a data set has them."""
    named = [
        (f"{subject.name} (mean {one.mean:.1f})", one.histogram)
        for subject, one in every
        if (one.text, one.unit) == (text, unit)
    ]
    if named:
        yield histogram(label, named, unit, what)


def _several(subjects: Iterable[DatasetStatistics]) -> bool:
    """Return whether a data set has records of several exchanges."""
    return any(one.unit == EXCHANGES for subject in subjects for one in subject.lengths)


def languages(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on the languages of the texts, compared with the published ones."""
    shown = [subject for subject in subjects if subject.languages.sampled]
    if not shown:
        return None
    plots = []
    mixes = {subject.name: _mix(subject) for subject in shown}
    if any(mixes.values()):
        total: Counter[str] = Counter()
        for mix in mixes.values():
            total.update(mix)
        names = [name for name, _ in total.most_common(12)]
        theirs = [(f"{one.name} (published)", one.languages) for one in published(shown) if one.languages]
        named: list[tuple[str, Mapping[str, float]]] = [*mixes.items(), *theirs]
        bars = [
            go.Bar(x=names, y=[100 * mix[name] if name in mix else None for name in names], name=subject)
            for subject, mix in named
        ]
        label = "Languages of the instructions"
        plots.append(plot(label, bars, height=300, yaxis={"title": {"text": "% of instructions"}}))
    rows = [
        (subject.name, one.text, one.language, count(one.rows), share(one.rows, subject.languages.sampled[one.text]),
         count(one.unsure))
        for subject in shown for one in subject.languages.found
    ]  # fmt: skip
    sampled = max(sum(subject.languages.sampled.values()) for subject in shown)
    lead = (
        f"Detected by langdetect in a random sample of up to {count(sampled)} texts. “Unsure” are texts of under 20 "
        "characters, or not clearly of one language: for short texts the detection is unreliable."
    )
    return Section(
        "languages", "Languages", lead, plots,
        [Table("Languages", ("data set", "text", "language", "texts", "share", "unsure"), rows)],
    )  # fmt: skip


def _mix(subject: DatasetStatistics) -> Counter[str]:
    """Return the shares of languages among instructions. Variants of Chinese are merged, as in the published shares."""
    mix: Counter[str] = Counter()
    for one in subject.languages.found:
        if one.text == INSTRUCTION:
            mix[one.language.partition("-")[0]] += one.rows / subject.languages.sampled[INSTRUCTION]  # type: ignore[assignment]
    return mix


def verbs(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on the root verbs of instructions and their noun objects."""
    texts = [subject for subject in subjects if any(one.text == INSTRUCTION for one in subject.lengths)]
    if not texts:
        return None
    known = [(subject, subject.verbs) for subject in texts if subject.verbs]
    lead = (
        "Root verb and noun object of the English instructions in the same sample, parsed by spaCy. Verbs of over 1% "
        "of the instructions are shown, with their three most frequent nouns."
    )
    lead = " ".join([lead, *(one.verbs for one in published(texts) if one.verbs)])
    plots, rows, notes = [], [], []
    for subject, parsed in known:
        labels, parents, values, ids = [], [], [], []
        for verb in parsed.verbs:
            ids.append(verb.verb)
            labels.append(verb.verb)
            parents.append("")
            values.append(verb.rows)
            for noun in verb.nouns:
                ids.append(f"{verb.verb}/{noun.noun}")
                labels.append(noun.noun)
                parents.append(verb.verb)
                values.append(noun.rows)
        wheel = go.Sunburst(ids=ids, labels=labels, parents=parents, values=values, branchvalues="total")
        label = f"Root verbs of {subject.name} (inner ring) and their nouns (outer ring)"
        plots.append(plot(label, [wheel], height=420))
        rows += [
            (subject.name, verb.verb, count(verb.rows), share(verb.rows, parsed.parsed),
             ", ".join(f"{noun.noun} {count(noun.rows)}" for noun in verb.nouns))
            for verb in parsed.verbs
        ]  # fmt: skip
        notes.append(
            f"{subject.name}: {count(parsed.parsed)} English instructions were parsed with {parsed.parser}; "
            f"{count(parsed.verbless)} have no root verb."
        )
    if not known:
        english = any(one.language == "en" for subject in texts for one in subject.languages.found)
        notes.append(ABSENT if english else "There are no English instructions to parse.")
    head = ("data set", "verb", "instructions", "share", "nouns")
    return Section("verbs", "Root verbs", lead, plots, [Table("Root verbs and their nouns", head, rows)], notes)


def duplicates(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on copies and near-copies of texts and images."""
    rows = [
        (subject.name, one.what, count(one.rows), count(one.sampled), share(one.exact, one.sampled),
         share(one.near, one.sampled), ", ".join(f"{name} ×{times}" for name, times in one.most.items()))
        for subject in subjects for one in subject.duplicates
    ]  # fmt: skip
    if not rows:
        return None
    lead = (
        "Copies: identical texts, or images with identical bytes. Near-copies: texts whose word 5-grams have a "
        f"similarity of at least {SIMILARITY:.0%} by MinHash, which finds 96% of the pairs at that bound and more "
        "above it. Samples are drawn by content, so a sampled text comes with all its copies, and the shares hold for "
        "all rows."
    )
    if _several(subjects):
        lead = f"{lead} Of conversations, the texts of all exchanges are compared and counted."
    head = ("data set", "text or image", "rows", "sampled", "copies", "near-copies", "most frequent (ids)")
    parts = [("copies", 4, COLOURS[1]), ("near-copies", 5, COLOURS[4])]
    names = [f"{row[1]} · {row[0]}" for row in rows]
    shares = {
        (subject.name, one.what): (100 * one.exact / max(1, one.sampled), 100 * one.near / max(1, one.sampled))
        for subject in subjects
        for one in subject.duplicates
    }
    bars = [(name, [shares[row[0], row[1]][at - 4] for row in rows], colour) for name, at, colour in parts]
    return Section(
        "duplicates", "Duplicates", lead, [stacked("Copies and near-copies", names, bars, "% of rows")],
        [Table("Duplicates", head, rows)],
    )  # fmt: skip


def defects(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on defects of texts, such as refusals and special tokens."""
    rows = [
        (subject.name, one.text, one.kind, count(one.rows), share(one.rows, one.of), ", ".join(one.examples))
        for subject in subjects for one in subject.defects
    ]  # fmt: skip
    if not rows:
        return None
    cut = [(subject.name, node, count(times)) for subject in subjects for node, times in subject.cut_off.items()]
    tables = [Table("Defects by rule", ("data set", "text", "defect", "rows", "share", "examples"), rows)]
    if cut:
        tables.append(Table("Truncated replies", ("run", "node", "replies"), cut))
    lead = "Detected by rules: " + "; ".join(f"{kind}: {what}" for kind, what in KINDS.items()) + "."
    return Section("defects", "Defects", lead, [], tables)


def overlaps(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on texts that overlap with benchmarks."""
    rows = [
        (subject.name, one.benchmark, one.text, count(one.rows), share(one.rows, one.of), ", ".join(one.examples))
        for subject in subjects for one in subject.overlaps
    ]  # fmt: skip
    if not rows:
        return None
    lead = f"Rows that share {GRAM} consecutive words with the texts given by `--benchmark`."
    head = ("data set", "benchmark", "text", "rows", "share", "examples")
    return Section("overlaps", "Overlap with benchmarks", lead, [], [Table("Overlap with benchmarks", head, rows)])


def pictures(subjects: list[DatasetStatistics]) -> Section | None:
    """Section on sizes and formats of images."""
    known = [(subject, subject.pictures) for subject in subjects if subject.pictures and subject.pictures.looked_at]
    if not known:
        return None
    plots, rows, formats = [], [], []
    for subject, images in known:
        for size in images.sizes:
            label = f"{size.measure[0].upper()}{size.measure[1:]}"
            plots.append(histogram(label, [(subject.name, size.histogram)], size.measure, "images"))
            rows.append(
                (subject.name, size.measure, f"{size.mean:,.0f}",
                 *(count(size.percentiles.get(point, 0)) for point in (1, 25, 50, 75, 99)))
            )  # fmt: skip
        names = ", ".join(f"{name} {count(times)}" for name, times in images.formats.items())
        formats.append((subject.name, count(images.looked_at), count(images.of), names, count(images.unreadable),
                        share(images.near, images.looked_at)))  # fmt: skip
    lead = "From a random sample of whole parts. Two images look alike if their difference hashes (16 × 16) are equal."
    return Section(
        "pictures", "Images", lead, plots,
        [Table("Images", ("data set", "sampled", "total", "formats", "unreadable", "look like another"), formats),
         Table("Sizes", ("data set", "measure", "mean", "1%", "25%", "50%", "75%", "99%"), rows)],
    )  # fmt: skip
