"""The sections on what the texts are: lengths, languages, root verbs, duplicates, defects, overlap with benchmarks."""

from collections import Counter

import plotly.graph_objects as go

from oasis_ray.report import published_figures as published
from oasis_ray.report.section import COLOURS, Section, Table, count, histogram, plot, share, stacked
from oasis_ray.report.statistics import DatasetStatistics
from oasis_ray.stats.contamination import GRAM
from oasis_ray.stats.defects import KINDS
from oasis_ray.stats.near_duplicates import SIMILARITY
from oasis_ray.stats.verbs import ABSENT

TEXTS = ("instruction", "response", "caption")


def lengths(subjects: list[DatasetStatistics]) -> Section | None:
    """How long the texts are."""
    every = [(subject, one) for subject in subjects for one in subject.lengths]
    if not every:
        return None
    plots = []
    for text in TEXTS:
        some = [(subject, one) for subject, one in every if one.text == text and one.unit == "words"]
        if some:
            named = [(f"{subject.name} (mean {one.mean:.1f})", one.histogram) for subject, one in some]
            plots.append(histogram(f"Words in each {text}", named, "words", "texts"))
    rows = [
        (subject.name, one.text, one.unit, count(one.rows), f"{one.mean:,.1f}", f"{one.deviation:,.1f}",
         *(count(one.percentiles[point]) for point in sorted(one.percentiles)))
        for subject, one in every
    ]  # fmt: skip
    points = [f"{point}%" for point in sorted(every[0][1].percentiles)]
    head = ("subject", "text", "unit", "texts", "mean", "deviation", *points)
    lead = f"In tokens of the model that answers, words, and characters. {published.LENGTHS}"
    return Section("lengths", "Lengths", lead, plots, [Table("Lengths and their percentiles", head, rows)])


def languages(subjects: list[DatasetStatistics]) -> Section | None:
    """Which languages the texts are in, beside the published mix."""
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
        named = [*mixes.items(), ("Oasis-500k (published)", Counter(published.LANGUAGES))]
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
        f"By langdetect, of a random sample ({count(sampled)} texts at most). “Unsure” are texts under 20 characters, "
        "or not clearly of one language: of short texts the detector only guesses."
    )
    return Section(
        "languages", "Languages", lead, plots,
        [Table("Languages", ("subject", "text", "language", "texts", "share", "of these unsure"), rows)],
    )  # fmt: skip


def _mix(subject: DatasetStatistics) -> Counter[str]:
    """Shares of languages among instructions; the kinds of Chinese are one, as they are where the mix is published."""
    mix: Counter[str] = Counter()
    for one in subject.languages.found:
        if one.text == "instruction":
            mix[one.language.partition("-")[0]] += one.rows / subject.languages.sampled["instruction"]  # type: ignore[assignment]
    return mix


def verbs(subjects: list[DatasetStatistics]) -> Section | None:
    """What the instructions ask to do, and with what."""
    texts = [subject for subject in subjects if any(one.text == "instruction" for one in subject.lengths)]
    if not texts:
        return None
    known = [(subject, subject.verbs) for subject in texts if subject.verbs]
    lead = (
        "The root verb of each English instruction and the noun it acts on, by spaCy, of the same sample. Shown are "
        f"verbs of over 1% of the instructions, with their three commonest nouns. {published.VERBS}"
    )
    plots, rows, notes = [], [], []
    for subject, found in known:
        labels, parents, values, ids = [], [], [], []
        for verb in found.verbs:
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
        label = f"Root verbs of {subject.name}, and around them their nouns"
        plots.append(plot(label, [wheel], height=420))
        rows += [
            (subject.name, verb.verb, count(verb.rows), share(verb.rows, found.parsed),
             ", ".join(f"{noun.noun} {count(noun.rows)}" for noun in verb.nouns))
            for verb in found.verbs
        ]  # fmt: skip
        notes.append(
            f"{subject.name}: {count(found.parsed)} English instructions were parsed with {found.parser}; "
            f"{count(found.verbless)} have no verb at their root."
        )
    if not known:
        english = any(one.language == "en" for subject in texts for one in subject.languages.found)
        notes.append(ABSENT if english else "There are no English instructions to parse.")
    head = ("subject", "verb", "instructions", "share", "nouns")
    return Section("verbs", "Root verbs", lead, plots, [Table("Root verbs and their nouns", head, rows)], notes)


def duplicates(subjects: list[DatasetStatistics]) -> Section | None:
    """Copies and near-copies."""
    rows = [
        (subject.name, one.what, count(one.rows), count(one.sampled), share(one.exact, one.sampled),
         share(one.near, one.sampled), ", ".join(f"{name} ×{times}" for name, times in one.most.items()))
        for subject in subjects for one in subject.duplicates
    ]  # fmt: skip
    if not rows:
        return None
    lead = (
        "Copies: the same text to the letter, the same image to the byte. Near-copies: word 5-grams that are alike to "
        f"{SIMILARITY:.0%} by MinHash, which finds 96% of the pairs at that bound and more above it. Where fewer rows "
        "were looked at than there are, they were drawn with all their likes, so that shares stand for the whole."
    )
    head = ("subject", "of", "rows", "looked at", "copies", "near-copies", "most frequent (an id each)")
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
    """What should not be in a text that a model is trained on."""
    rows = [
        (subject.name, one.text, one.kind, count(one.rows), share(one.rows, one.of), ", ".join(one.examples))
        for subject in subjects for one in subject.defects
    ]  # fmt: skip
    if not rows:
        return None
    cut = [(subject.name, node, count(times)) for subject in subjects for node, times in subject.cut_off.items()]
    tables = [Table("Findings by rule", ("subject", "text", "finding", "rows", "share", "for example"), rows)]
    if cut:
        tables.append(Table("Replies that were cut off", ("run", "node", "replies"), cut))
    lead = "By rules that can be read: " + "; ".join(f"{kind}: {what}" for kind, what in KINDS.items()) + "."
    return Section("defects", "What should not be there", lead, [], tables)


def overlaps(subjects: list[DatasetStatistics]) -> Section | None:
    """Texts that repeat a benchmark's."""
    rows = [
        (subject.name, one.benchmark, one.text, count(one.rows), share(one.rows, one.of), ", ".join(one.examples))
        for subject in subjects for one in subject.overlaps
    ]  # fmt: skip
    if not rows:
        return None
    lead = f"Rows that share {GRAM} words in a row with the texts given by `--benchmark`."
    head = ("subject", "benchmark", "text", "rows", "share", "for example")
    return Section("overlaps", "Overlap with benchmarks", lead, [], [Table("Overlap", head, rows)])


def pictures(subjects: list[DatasetStatistics]) -> Section | None:
    """What the pictures are."""
    known = [(subject, subject.pictures) for subject in subjects if subject.pictures and subject.pictures.looked_at]
    if not known:
        return None
    plots, rows, formats = [], [], []
    for subject, found in known:
        for size in found.sizes:
            label = f"{size.measure[0].upper()}{size.measure[1:]}"
            plots.append(histogram(label, [(subject.name, size.histogram)], size.measure, "pictures"))
            rows.append(
                (subject.name, size.measure, f"{size.mean:,.0f}",
                 *(count(size.percentiles.get(point, 0)) for point in (1, 25, 50, 75, 99)))
            )  # fmt: skip
        told = ", ".join(f"{name} {count(times)}" for name, times in found.formats.items())
        formats.append((subject.name, count(found.looked_at), count(found.of), told, count(found.unreadable),
                        share(found.near, found.looked_at)))  # fmt: skip
    lead = "Of whole parts drawn by chance. Two pictures look alike where their difference hashes (16 × 16) are equal."
    return Section(
        "pictures", "Pictures", lead, plots,
        [Table("Pictures", ("subject", "looked at", "of", "formats", "unreadable", "look like another"), formats),
         Table("Sizes", ("subject", "measure", "mean", "1%", "25%", "50%", "75%", "99%"), rows)],
    )  # fmt: skip
