"""All that is counted of a subject's rows, in a form that can be merged."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from types import MappingProxyType

from oasis_ray.report.dataset import ReportRow
from oasis_ray.stage.language import detect
from oasis_ray.stats.contamination import Benchmark, grams_of
from oasis_ray.stats.defects import defects
from oasis_ray.stats.histogram import Histogram
from oasis_ray.stats.near_duplicates import LETTER, NearDuplicates
from oasis_ray.stats.sample import HashSample, number
from oasis_ray.stats.verbs import load_parser, root_verbs
from oasis_ray.types import Outcome

SHOWN = 5  # examples of a finding
SAMPLED = 2000  # characters that are kept of a text in the sample
GALLERY = 24  # rows of an outcome, and a reason, that the gallery shows
UNITS = ("tokens", "words", "characters")
SPOKEN = re.compile(rf"{LETTER}|[^\s{LETTER[1:-1]}]+")  # words: what stands between spaces

Tokenize = Callable[[list[str]], list[int]]


@dataclass
class Found:
    """Rows with something in common, and a few of them."""

    rows: int = 0
    some: HashSample = field(default_factory=partial(HashSample, SHOWN))

    def add(self, name: str) -> None:
        """Count a row."""
        self.rows += 1
        self.some.add(number(name), name)

    def merge(self, other: "Found") -> None:
        """Count the rows of `other`."""
        self.rows += other.rows
        self.some.merge(other.some)


@dataclass
class Totals:
    """What has been counted. Texts are told apart as instruction, response and caption."""

    sample: int  # rows whose language and verbs are looked at
    outcomes: Counter[tuple[str | None, str]] = field(default_factory=Counter)  # origin, outcome
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # outcome, node, reason
    lengths: dict[tuple[str, str], Histogram] = field(default_factory=lambda: defaultdict(Histogram))  # text, unit
    origins: dict[tuple[str | None, str], Histogram] = field(default_factory=lambda: defaultdict(Histogram))  # words
    scores: Counter[tuple[str, int]] = field(default_factory=Counter)  # axis, score
    both: Counter[tuple[str, str, int, int]] = field(default_factory=Counter)  # two axes and their scores of one row
    twins: dict[str, NearDuplicates] = field(default_factory=lambda: defaultdict(NearDuplicates))
    defects: dict[tuple[str, str], Found] = field(default_factory=lambda: defaultdict(Found))  # text, kind
    overlaps: dict[tuple[str, str], Found] = field(default_factory=lambda: defaultdict(Found))  # benchmark, text
    marked: Counter[tuple[str, str]] = field(default_factory=Counter)  # outcome, what a person said of the row
    cut: Counter[str] = field(default_factory=Counter)  # node whose reply was cut off
    texts: dict[str, HashSample] = field(default_factory=dict)  # a sample of each kind of text
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
        """Count some rows; `marks` are what people said of rows, by id."""
        said: dict[str, list[tuple[ReportRow, str]]] = defaultdict(list)
        for row in rows:
            self.outcomes[row.origin, row.outcome] += 1
            if row.reason is not None and row.outcome in (Outcome.REJECTED, Outcome.FAILED):
                self.reasons[row.outcome, row.node or "", row.reason] += 1
            self.cut.update(row.cut)
            self.marked.update((row.outcome, mark) for mark in marks.get(row.id, ()))
            self._add_scores(row)
            self.gallery[row.outcome, row.reason or ""].add(number(row.id, seed=2), (row.place, row.id))
            if row.outcome == Outcome.ACCEPTED:
                said["instruction"].append((row, row.instruction or ""))
                said["response"].append((row, row.response or ""))
            elif row.outcome == Outcome.CAPTIONS:
                said["caption"].append((row, row.response or ""))
            if row.image and row.outcome in (Outcome.ACCEPTED, Outcome.CAPTIONS):
                self.twins["image"].add(number(row.image), number(row.image), None, row.id)
        for text, some in said.items():
            self._add_texts(text, some, tokenize, benchmarks)

    def merge(self, other: "Totals") -> None:
        """Count what `other` has counted."""
        for name in ("outcomes", "reasons", "scores", "both", "cut", "marked"):
            getattr(self, name).update(getattr(other, name))
        for name in ("lengths", "origins", "twins", "defects", "overlaps", "gallery"):
            mine = getattr(self, name)
            for key, value in getattr(other, name).items():
                mine[key].merge(value)
        for text, some in other.texts.items():
            self.texts.setdefault(text, HashSample(self.sample)).merge(some)

    def _add_scores(self, row: ReportRow) -> None:
        self.scores.update(row.scores.items())
        for (one, score), (other, its) in combinations(sorted(row.scores.items()), 2):
            self.both[one, other, score, its] += 1

    def _add_texts(
        self, text: str, some: list[tuple[ReportRow, str]], tokenize: Tokenize | None, benchmarks: Sequence[Benchmark]
    ) -> None:
        sample = self.texts.setdefault(text, HashSample(self.sample))
        for row, words in some:
            count = len(SPOKEN.findall(words))
            self.lengths[text, "words"].add(count)
            self.lengths[text, "characters"].add(len(words))
            self.origins[row.origin, text].add(count)
            self.twins[text].add_text(words, row.id)
            sample.add(number(row.id, seed=1), words[:SAMPLED])
            for kind in defects(words):
                self.defects[text, kind].add(row.id)
            if benchmarks:
                grams = grams_of(words)
                for benchmark in benchmarks:
                    if benchmark.shares(grams):
                        self.overlaps[benchmark.name, text].add(row.id)
        if tokenize is not None:
            for count in tokenize([words for _, words in some]):
                self.lengths[text, "tokens"].add(count)


@dataclass
class Spoken:
    """Languages of the sampled texts, and the root verbs of the English instructions among them."""

    languages: Counter[tuple[str, str, bool]] = field(default_factory=Counter)  # text, language, sure
    verbs: Counter[tuple[str, str | None]] = field(default_factory=Counter)  # verb, its noun
    parsed: int = 0
    verbless: int = 0

    def merge(self, other: "Spoken") -> None:
        """Count what `other` has counted."""
        self.languages.update(other.languages)
        self.verbs.update(other.verbs)
        self.parsed += other.parsed
        self.verbless += other.verbless

    def add(self, text: str, words: list[str]) -> None:
        """Count some texts of one kind. Without a parser no verbs are counted."""
        found = [detect(one) for one in words]
        self.languages.update((text, language, sure) for language, sure in found)
        if text != "instruction":
            return
        english = [one for one, (language, _) in zip(words, found, strict=True) if language == "en"]
        parser = load_parser() if english else None
        if parser is None:
            return
        for verb in root_verbs(parser, english):
            self.parsed += 1
            self.verbless += verb is None
            if verb is not None:
                self.verbs[verb] += 1
