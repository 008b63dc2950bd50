"""The schema of `statistics.json`: what a report says, as data. `version` goes up when a field changes its meaning."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Passage(_Part):
    """A node: the rows that came, those that went on, and why the others left."""

    node: str
    rows: int
    through: int
    left: dict[str, int]


class Rate(_Part):
    """A share of rows that come through, beside the published one."""

    say: str
    rows: int
    of: int
    published: float


class Bin(_Part):
    """Texts whose length is at least `low` and below `high` (null: without end)."""

    low: int
    high: int | None
    rows: int


class TextLengths(_Part):
    """Lengths of a kind of text in one unit: tokens, words or characters."""

    text: str
    unit: str
    rows: int
    mean: float
    deviation: float
    percentiles: dict[int, int]
    histogram: list[Bin]


class Language(_Part):
    """Sampled texts of one language; of these `unsure` are short, or not clearly of one language."""

    text: str
    language: str
    rows: int
    unsure: int


class Languages(_Part):
    """Languages of the texts, by langdetect, of a sample."""

    sampled: dict[str, int]
    found: list[Language]


class Noun(_Part):
    """A noun that a verb acts on."""

    noun: str
    rows: int


class Verb(_Part):
    """A root verb of instructions, and its most frequent noun objects."""

    verb: str
    rows: int
    nouns: list[Noun]


class Verbs(_Part):
    """Root verbs of the sampled English instructions, by spaCy; `verbless` have none."""

    parser: str
    parsed: int
    verbless: int
    verbs: list[Verb]


class Axis(_Part):
    """A judge's scores: rows by score."""

    axis: str
    counts: dict[int, int]
    mean: float


class Correlation(_Part):
    """Pearson's correlation of two axes, over the rows that were scored on both. Null where one of them is constant."""

    one: str
    other: str
    rows: int
    pearson: float | None


class Duplicates(_Part):
    """Copies among texts or images: of `sampled` rows `exact` are copies of another, and `near` nearly so."""

    what: str
    rows: int
    sampled: int
    exact: int
    near: int
    most: dict[str, int] = Field(description="The ids of texts that come most often, and how often.")


class Finding(_Part):
    """Rows whose text has something that should be looked at, and the ids of some."""

    text: str
    kind: str
    rows: int
    of: int
    examples: list[str]


class Overlap(_Part):
    """Rows that share an n-gram with a benchmark."""

    benchmark: str
    text: str
    rows: int
    of: int
    examples: list[str]


class Sizes(_Part):
    """A measure of pictures."""

    measure: str
    mean: float
    percentiles: dict[int, int]
    histogram: list[Bin]


class Pictures(_Part):
    """What the pictures are, of a sample of whole parts."""

    looked_at: int
    of: int
    unreadable: int
    formats: dict[str, int]
    sizes: list[Sizes]
    near: int = Field(description="Pictures that look like another one (equal difference hash) and are no copy of it.")


class Origin(_Part):
    """Rows by where their picture comes from."""

    origin: str | None
    outcomes: dict[str, int]
    words: dict[str, float] = Field(description="The mean words of each kind of text.")


class NodeCost(_Part):
    """What a node asked of its pool."""

    node: str
    requests: int
    prompt_tokens: int
    cached_tokens: int
    reply_tokens: int
    seconds: float
    gpu_seconds: float | None = Field(None, description="Its share of its pool's GPU-seconds; null: not measured.")
    money: float | None = None


class EndCost(_Part):
    """What the rows that ended in one way have cost: accepted ones, or those that a node turned down for a reason."""

    outcome: str
    node: str
    reason: str
    rows: int
    reply_tokens: int
    gpu_seconds: float
    money: float | None = None


class Cost(_Part):
    """What the run took: by node, by where rows ended, and in all."""

    nodes: list[NodeCost]
    seconds: float = Field(description="Of all sessions, from the first row on.")
    seconds_loading: float = Field(description="Of all sessions, until the engines were up.")
    gpu_seconds: float | None = Field(None, description="Of all pools; null: not measured.")
    money: float | None = None
    currency: str | None = None
    ends: list[EndCost] = []


class Predicted(_Part):
    """A figure of the forecast that a probe had made, its interval, and what it came to."""

    what: str
    of: str
    predicted: float
    low: float
    high: float
    actual: float | None
    inside: bool | None


class Forecast(_Part):
    """What a probe of so many rows had said of the run."""

    probe_rows: int
    confidence: float
    bottleneck: str | None
    actual_bottleneck: str | None
    figures: list[Predicted]


class Marks(_Part):
    """What people who looked at rows said, beside where the rows ended."""

    marks: int
    good: dict[str, int]
    bad: dict[str, int]
    kappa: float | None = Field(None, description="Cohen's kappa of people and the run: good or bad, accepted or not.")


class DatasetStatistics(_Part):
    """All that is known of one subject. `notes` say what could not be looked at, and why."""

    name: str
    kind: Literal["run", "data set"]
    recipe: str | None = None
    state: str | None = None
    rows: int
    outcomes: dict[str, int]
    notes: list[str] = []
    funnel: list[Passage] = []
    rates: list[Rate] = []
    lengths: list[TextLengths] = []
    languages: Languages
    verbs: Verbs | None = None
    scores: list[Axis] = []
    correlations: list[Correlation] = []
    duplicates: list[Duplicates] = []
    defects: list[Finding] = []
    cut_off: dict[str, int] = {}
    overlaps: list[Overlap] = []
    pictures: Pictures | None = None
    origins: list[Origin] = []
    cost: Cost | None = None
    forecast: Forecast | None = None
    marks: Marks | None = None


class Statistics(_Part):
    """The whole file: one subject, or several side by side."""

    version: Literal[1] = 1
    made: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    subjects: list[DatasetStatistics]
