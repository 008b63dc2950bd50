"""Schema of `statistics.json`. `version` is incremented when the meaning of a field changes."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from oasis_ray.recipe.spec import Published
from oasis_ray.report.score_statistics import Axis, Correlation, Measure


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Passage(_Part):
    """Funnel of a node: rows that reached it, rows that continued, and the others by reason.

    Of a node with `for_each` also the elements that it worked on, and those that it dropped, by reason.
    """

    node: str
    rows: int
    through: int
    left: dict[str, int]
    elements: int = 0
    dropped: dict[str, int] = Field(default_factory=dict)


class Rate(_Part):
    """Share of rows that pass a section of the funnel, and the published share."""

    say: str
    rows: int
    of: int
    published: float


class Bin(_Part):
    """Bin of a histogram: rows with a value of at least `low` and below `high` (null: unbounded)."""

    low: int
    high: int | None
    rows: int


class TextLengths(_Part):
    """Lengths of a kind of text in one unit: tokens, words or characters; `rows` are texts, those of all exchanges.

    The kinds are `instruction` and `response`, of accepted rows, and the responses of each other record under its name.
    Of records with several exchanges also the lengths of conversations, under the name of the record, in `exchanges`.
    """

    text: str
    unit: str
    rows: int
    mean: float
    deviation: float
    percentiles: dict[int, int]
    histogram: list[Bin]


class Language(_Part):
    """Sampled texts of one language, of which `unsure` are short or not clearly of one language."""

    text: str
    language: str
    rows: int
    unsure: int


class Languages(_Part):
    """Languages of a sample of the texts, by langdetect."""

    sampled: dict[str, int]
    found: list[Language]


class Noun(_Part):
    """Noun object of a verb."""

    noun: str
    rows: int


class Verb(_Part):
    """Root verb of instructions, and its most frequent noun objects."""

    verb: str
    rows: int
    nouns: list[Noun]


class Verbs(_Part):
    """Root verbs of the sampled English instructions, by spaCy; `verbless` have none."""

    parser: str
    parsed: int
    verbless: int
    verbs: list[Verb]


class Duplicates(_Part):
    """Duplicates of texts (of all exchanges) or images: of `sampled` rows, `exact` are copies, `near` near-copies."""

    what: str
    rows: int
    sampled: int
    exact: int
    near: int
    most: dict[str, int] = Field(description="Ids of the most frequent texts, and their counts.")


class Finding(_Part):
    """Rows whose text has a defect, and ids of examples."""

    text: str
    kind: str
    rows: int
    of: int
    examples: list[str]


class Overlap(_Part):
    """Rows that share an n-gram with a benchmark, and ids of examples."""

    benchmark: str
    text: str
    rows: int
    of: int
    examples: list[str]


class Sizes(_Part):
    """Distribution of a measure of images."""

    measure: str
    mean: float
    percentiles: dict[int, int]
    histogram: list[Bin]


class Pictures(_Part):
    """Sizes and formats of images, from a sample of whole parts."""

    looked_at: int
    of: int
    unreadable: int
    formats: dict[str, int]
    sizes: list[Sizes]
    near: int = Field(description="Images that look like another one (equal difference hash) without being a copy.")


class Origin(_Part):
    """Rows by the origin of their image."""

    origin: str | None
    outcomes: dict[str, int]
    words: dict[str, float] = Field(description="Mean number of words of each kind of text.")


class NodeCost(_Part):
    """Requests of a node, and their cost."""

    node: str
    requests: int
    prompt_tokens: int
    cached_tokens: int
    reply_tokens: int
    seconds: float
    gpu_seconds: float | None = Field(None, description="Share of the GPU-seconds of its pool; null: not measured.")
    money: float | None = None


class EndCost(_Part):
    """Cost of the rows with one outcome, node and reason."""

    outcome: str
    node: str
    reason: str
    rows: int
    reply_tokens: int
    gpu_seconds: float
    money: float | None = None


class Cost(_Part):
    """Cost of a run: by node, by outcome, and in total."""

    nodes: list[NodeCost]
    seconds: float = Field(description="Seconds of all sessions, from the first row on.")
    seconds_loading: float = Field(description="Seconds of all sessions until the engines were ready.")
    gpu_seconds: float | None = Field(None, description="GPU-seconds of all pools; null: not measured.")
    money: float | None = None
    currency: str | None = None
    ends: list[EndCost] = []


class Predicted(_Part):
    """Predicted value of a forecast, its interval, and the actual value."""

    what: str
    of: str
    predicted: float
    low: float
    high: float
    actual: float | None
    inside: bool | None


class Forecast(_Part):
    """Forecast of the run, from a probe of `probe_rows` rows."""

    probe_rows: int
    confidence: float
    bottleneck: str | None
    actual_bottleneck: str | None
    figures: list[Predicted]


class Marks(_Part):
    """Marks by people, by outcome of the marked rows."""

    marks: int
    good: dict[str, int]
    bad: dict[str, int]
    kappa: float | None = Field(None, description="Cohen's kappa of people (good or bad) and the run (kept or not).")


class DatasetStatistics(_Part):
    """Statistics of one run or data set. `notes` state what could not be counted, and why."""

    name: str
    kind: Literal["run", "data set"]
    recipe: str | None = None
    state: str | None = None
    records: dict[str, str] = Field({}, description="Route of each record of a run.")
    published: Published | None = Field(None, description="Published statistics that the recipe of a run names.")
    rows: int
    outcomes: dict[str, int] = Field(description="Rows by outcome, in the order of the report.")
    notes: list[str] = []
    funnel: list[Passage] = []
    rates: list[Rate] = []
    lengths: list[TextLengths] = []
    languages: Languages
    verbs: Verbs | None = None
    scores: list[Axis] = []
    measures: list[Measure] = []
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
    """The whole file: one or more runs and data sets."""

    version: Literal[3] = 3
    made: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    subjects: list[DatasetStatistics]
