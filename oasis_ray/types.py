"""The values that cross a boundary: what a stage asks, what an engine replies, where a row is headed and ends."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Route(StrEnum):
    """Where a row is headed. The last two are ends: no node follows them."""

    MAIN = "main"
    CAPTION = "caption"
    REJECTED = "rejected"
    FAILED = "failed"


class Outcome(StrEnum):
    """Where a row ended. Each is a folder of the run."""

    ACCEPTED = "accepted"
    CAPTIONS = "captions"
    REJECTED = "rejected"
    FAILED = "failed"


# What a row is called that comes to the end of its route.
OUTCOME_OF = {
    Route.MAIN: Outcome.ACCEPTED,
    Route.CAPTION: Outcome.CAPTIONS,
    Route.REJECTED: Outcome.REJECTED,
    Route.FAILED: Outcome.FAILED,
}


@dataclass(frozen=True, slots=True)
class Image:
    """An admitted picture: the encoded bytes as they came, known by the SHA-256 of these bytes.

    On its way to an engine that has it already the bytes may be left out (`handle`); then `data` is empty.
    """

    data: bytes = field(repr=False, compare=False)
    digest: str


class Sampling(BaseModel):
    """How an engine draws its tokens. The defaults are greedy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(0.0, ge=0, description="0 is greedy.")
    top_k: int = Field(0, ge=0, description="Draw from the k likeliest tokens; 0 is all.")
    top_p: float = Field(1.0, gt=0, le=1, description="Draw from the likeliest tokens that hold this share.")
    max_tokens: int = Field(1024, ge=1, description="A reply is cut off after so many tokens.")
    min_tokens: int = Field(0, ge=0, description="A reply can't end before so many tokens.")
    frequency_penalty: float = Field(0.0, ge=-2, le=2, description="Against a token, for each time it was said.")
    presence_penalty: float = Field(0.0, ge=-2, le=2, description="Against a token once it was said.")
    ban: tuple[Literal["special", "emoji"], ...] = Field(
        (), description="Kinds of token that are never drawn (the end of the turn stays possible)."
    )

    @model_validator(mode="after")
    def _min_within_max(self) -> "Sampling":
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens {self.min_tokens} is more than max_tokens {self.max_tokens}")
        return self


GREEDY = Sampling()


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model: what the user's turn says, after its images, and who speaks next.

    `speaker` is whose words are wanted: the assistant's (the user's turn is closed), or the user's (it is left open
    after `text`, so that the model goes on with it: the hook of Oasis). `likelihood` asks for each sample's mean
    log-likelihood a token. Where there are `choices`, the reply is one of them: the model can write nothing else.
    """

    text: str = ""
    images: tuple[Image, ...] = ()
    speaker: Literal["assistant", "user"] = "assistant"
    sampling: Sampling = GREEDY
    n: int = 1
    likelihood: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way to a pool: whose it is, with what seed, and how soon (a lower `priority` goes first)."""

    request: Request
    row: str
    seed: int
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One text drawn from a model. `finish` is "length" where it was cut off at `max_tokens` or at the context.

    `reasoning` is what a reasoning model thought before it; no stage reads a verdict out of that.
    """

    text: str
    finish: Literal["stop", "length"] = "stop"
    tokens: int = 0
    likelihood: float | None = None
    reasoning: str = ""

    def __post_init__(self) -> None:
        # A server's JSON may hold half of a surrogate pair: no character, and no file could be written with it.
        for name in ("text", "reasoning"):
            whole = getattr(self, name).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            object.__setattr__(self, name, whole)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered to one request, and what it read for it (in tokens, images included).

    `engine` is the replica that answered, `seconds` for how long it had the request, waiting in its queue included.
    `keeps` says that it knows the request's pictures by their digests from now on, `holds` for how many rows with such
    a request its KV cache has room at once (0: it doesn't know).
    """

    samples: tuple[Sample, ...]
    prompt_tokens: int = 0
    cached_tokens: int = 0
    engine: str = ""
    seconds: float = 0.0
    keeps: bool = False
    holds: int = 0

    @property
    def text(self) -> str:
        """The first sample's text."""
        return self.samples[0].text

    @classmethod
    def of(cls, *texts: str) -> "Reply":
        """A reply that says `texts`, one a sample, for scripts and tests."""
        return cls(tuple(Sample(text, tokens=len(text.split())) for text in texts))


@dataclass(frozen=True, slots=True)
class Divert:
    """A row leaves its route. `reason` is a fixed word, `detail` the text that shows why; `out` what was made all the
    same (a score that is too low is still a score).
    """

    route: Route
    reason: str
    detail: str = ""
    out: Any = None
