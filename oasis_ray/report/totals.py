"""Totals: mergeable counts of the rows and texts of a data set."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from types import MappingProxyType

from oasis_ray.report.dataset import ReportRow
from oasis_ray.report.kinds import IMAGE, INSTRUCTION, response_of
from oasis_ray.stage.language import detect
from oasis_ray.stats.contamination import Benchmark, grams_of
from oasis_ray.stats.defects import defects
from oasis_ray.stats.histogram import Histogram
from oasis_ray.stats.near_duplicates import LETTER, NearDuplicates
from oasis_ray.stats.numbers import Numbers
from oasis_ray.stats.sample import HashSample, number
from oasis_ray.stats.verbs import load_parser, root_verbs
from oasis_ray.types import ACCEPTED, DROPPED

SHOWN = 5  # examples of a defect or overlap
SAMPLED = 2000  # characters kept of a sampled text
GALLERY = 24  # rows per outcome and reason that the gallery may show
UNITS = ("tokens", "words", "characters")
SPOKEN = re.compile(
    rf"{LETTER}|[^\s{LETTER[1:-1]}]+"
)  # a word: a run of non-space characters, or one letter of Chinese, Japanese and Korean

Tokenize = Callable[[list[str]], list[int]]


@dataclass
class Matches:
    """Count of rows with something in common, and a sample of their ids."""

    rows: int = 0
    sample: HashSample = field(default_factory=partial(HashSample, SHOWN))

    def add(self, name: str) -> None:
        """Count a row."""
        self.rows += 1
        self.sample.add(number(name), name)

    def merge(self, other: "Matches") -> None:
        """Add the rows of `other`."""
        self.rows += other.rows
        self.sample.merge(other.sample)


@dataclass
class Totals:
    """Mergeable totals. The kinds of text follow from the outcomes of the rows (`kinds`)."""

    sample: int  # texts of each kind to sample for languages and verbs
    outcomes: Counter[tuple[str | None, str]] = field(default_factory=Counter)  # origin, outcome
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # outcome, node, reason
    moves: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # node, new route, reason
    ends: Counter[tuple[str, str]] = field(default_factory=Counter)  # outcome, node; where no moves are recorded
    lengths: dict[tuple[str, str], Histogram] = field(default_factory=lambda: defaultdict(Histogram))  # text, unit
    origins: dict[tuple[str | None, str], Histogram] = field(default_factory=lambda: defaultdict(Histogram))  # words
    scores: Counter[tuple[str, int]] = field(default_factory=Counter)  # axis, score
    measures: dict[str, Numbers] = field(default_factory=lambda: defaultdict(Numbers))  # axis, of scores with decimals
    both: Counter[tuple[str, str, int, int]] = field(
        default_factory=Counter
    )  # two axes, and their scores of the same row, or of the same element
    of_elements: set[str] = field(default_factory=set)  # axes with scores of elements of lists
    twins: dict[str, NearDuplicates] = field(default_factory=lambda: defaultdict(NearDuplicates))
    defects: dict[tuple[str, str], Matches] = field(default_factory=lambda: defaultdict(Matches))  # text, kind
    overlaps: dict[tuple[str, str], Matches] = field(default_factory=lambda: defaultdict(Matches))  # benchmark, text
    marked: Counter[tuple[str, str]] = field(default_factory=Counter)  # outcome, mark by a person
    cut: Counter[str] = field(default_factory=Counter)  # node whose reply was truncated
    texts: dict[str, HashSample] = field(default_factory=dict)  # a sample of each kind of text
    exchanges: dict[str, Histogram] = field(
        default_factory=lambda: defaultdict(Histogram)
    )  # of each record, by outcome
    gallery: dict[tuple[str, str], HashSample] = field(
        default_factory=lambda: defaultdict(partial(HashSample, GALLERY))
    )

    def add(
        self,
        rows: Sequence[ReportRow],
        tokenize: Tokenize | None = None,
        benchmarks: Sequence[Benchmark] = (),
        marks: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """Count rows. `marks` are people's marks by row id."""
        texts: dict[str, list[tuple[ReportRow, Sequence[str]]]] = defaultdict(list)
        for row in rows:
            self.outcomes[row.origin, row.outcome] += 1
            if row.reason is not None and row.outcome in DROPPED:
                self.reasons[row.outcome, row.node or "", row.reason] += 1
            if row.moves is None:
                self.ends[row.outcome, row.node or ""] += 1
            else:
                self.moves.update(row.moves)
            self.cut.update(row.cut)
            self.marked.update((row.outcome, mark) for mark in marks.get(row.id, ()))
            self._add_scores(row)
            self.gallery[row.outcome, row.reason or ""].add(number(row.id, seed=2), (row.place, row.id))
            if row.outcome in DROPPED:
                continue
            asked, answered = zip(*row.exchanges, strict=True)
            self.exchanges[row.outcome].add(len(asked))
            if row.outcome == ACCEPTED:
                texts[INSTRUCTION].append((row, asked))
            texts[response_of(row.outcome)].append((row, answered))
            if row.image:
                self.twins[IMAGE].add(number(row.image), number(row.image), None, row.id)
        for kind, of_rows in texts.items():
            self._add_texts(kind, of_rows, tokenize, benchmarks)

    def merge(self, other: "Totals") -> None:
        """Add the counts of `other`."""
        for name in ("outcomes", "reasons", "moves", "ends", "scores", "both", "cut", "marked"):
            getattr(self, name).update(getattr(other, name))
        for name in ("lengths", "origins", "twins", "defects", "overlaps", "exchanges", "gallery", "measures"):
            mine = getattr(self, name)
            for key, value in getattr(other, name).items():
                mine[key].merge(value)
        self.of_elements |= other.of_elements
        for text, sample in other.texts.items():
            self.texts.setdefault(text, HashSample(self.sample)).merge(sample)

    def _add_scores(self, row: ReportRow) -> None:
        for scores in row.scores:
            self.scores.update(scores.whole.items())
            for axis, value in scores.decimal.items():
                self.measures[axis].add(value)
            for (one, score), (other, its) in combinations(sorted(scores.whole.items()), 2):
                self.both[one, other, score, its] += 1
            if scores.element:
                self.of_elements.update(scores.whole, scores.decimal)

    def _add_texts(
        self,
        text: str,
        of_rows: list[tuple[ReportRow, Sequence[str]]],
        tokenize: Tokenize | None,
        benchmarks: Sequence[Benchmark],
    ) -> None:
        """Count all texts of one kind. A defect and an overlap count once for each row, all else for each text."""
        sample = self.texts.setdefault(text, HashSample(self.sample))
        for row, texts in of_rows:
            for at, words in enumerate(texts):
                count = len(SPOKEN.findall(words))
                self.lengths[text, "words"].add(count)
                self.lengths[text, "characters"].add(len(words))
                self.origins[row.origin, text].add(count)
                self.twins[text].add_text(words, row.id)
                sample.add(number(f"{row.id}\0{at}" if at else row.id, seed=1), words[:SAMPLED])
            for kind in {kind for words in texts for kind in defects(words)}:
                self.defects[text, kind].add(row.id)
            grams = [grams_of(words) for words in texts] if benchmarks else []
            for benchmark in benchmarks:
                if any(map(benchmark.shares, grams)):
                    self.overlaps[benchmark.name, text].add(row.id)
        if tokenize is not None:
            for count in tokenize([words for _, texts in of_rows for words in texts]):
                self.lengths[text, "tokens"].add(count)


@dataclass
class Spoken:
    """Languages of the sampled texts, and root verbs of the English instructions among them."""

    languages: Counter[tuple[str, str, bool]] = field(default_factory=Counter)  # text, language, sure
    verbs: Counter[tuple[str, str | None]] = field(default_factory=Counter)  # verb, its noun
    parsed: int = 0
    verbless: int = 0

    def merge(self, other: "Spoken") -> None:
        """Add the counts of `other`."""
        self.languages.update(other.languages)
        self.verbs.update(other.verbs)
        self.parsed += other.parsed
        self.verbless += other.verbless

    def add(self, text: str, words: list[str]) -> None:
        """Count texts of one kind. Without a parser, verbs are not counted."""
        detected = [detect(one) for one in words]
        self.languages.update((text, language, sure) for language, sure in detected)
        if text != INSTRUCTION:
            return
        english = [one for one, (language, _) in zip(words, detected, strict=True) if language == "en"]
        parser = load_parser() if english else None
        if parser is None:
            return
        for verb in root_verbs(parser, english):
            self.parsed += 1
            self.verbless += verb is None
            if verb is not None:
                self.verbs[verb] += 1
