"""Shared types: requests, replies, routes and images, as they pass between stages, engines and workers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NewType

from pydantic import BaseModel, ConfigDict, Field, model_validator

# The words of the framework. All other routes, and all other kinds of record, are named by recipes.
MAIN = "main"  # the route on which every row begins
ACCEPTED = "accepted"  # the outcome of rows that reach the end of the main route
REJECTED = "rejected"  # a route and an outcome: a stage decided against the row
FAILED = "failed"  # a route and an outcome: the row could not be processed
DROPPED = (REJECTED, FAILED)  # where rows end without a record


@dataclass(frozen=True, slots=True)
class Image:
    """An admitted image: its original encoded bytes, and their SHA-256.

    `data` is empty where the image is sent to an engine that already has it (`pool.handle`).
    """

    data: bytes = field(repr=False, compare=False)
    digest: str


class Slots(dict[str, str]):
    """Texts by names that a stage does not know: the slots of its prompt. A recipe binds them as further inputs."""


# A random number from 0 to 1 that the framework draws for each row and node, from the run's seed.
Chance = NewType("Chance", float)
# The position of an element in its list, from 0, as the node's other inputs show the list. The framework gives it.
Position = NewType("Position", int)


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of a conversation: who speaks, and the text. An image is shown before the first human turn."""

    speaker: Literal["human", "gpt", "system"]
    text: str


class Sampling(BaseModel):
    """Sampling parameters. The defaults are greedy decoding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(0.0, ge=0, description="Sampling temperature; 0 is greedy.")
    top_k: int = Field(0, ge=0, description="Sample from the k most likely tokens; 0: from all.")
    top_p: float = Field(1.0, gt=0, le=1, description="Sample from the most likely tokens with this total probability.")
    max_tokens: int = Field(1024, ge=1, description="Maximum tokens of a reply; a longer one is cut off.")
    min_tokens: int = Field(0, ge=0, description="Minimum tokens of a reply.")
    frequency_penalty: float = Field(
        0.0, ge=-2, le=2, description="Penalty on a token for each time it has occurred in the reply."
    )
    presence_penalty: float = Field(0.0, ge=-2, le=2, description="Penalty on a token that has occurred in the reply.")
    ban: tuple[Literal["special", "emoji"], ...] = Field(
        (), description="Kinds of token that are never sampled. Tokens that end the turn stay allowed."
    )

    @model_validator(mode="after")
    def _min_within_max(self) -> "Sampling":
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens {self.min_tokens} is more than max_tokens {self.max_tokens}")
        return self


GREEDY = Sampling()


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a model: the text of the user's turn, the images before it, and whose turn the model writes.

    `speaker`: "assistant" closes the user's turn and asks for the answer; "user" leaves the turn open after `text`, so
    that the model continues it (a hook). `likelihood`: return the mean log-likelihood per token of each
    sample. `choices`: constrain the reply to one of these texts. `weigh`: return the probability of each choice.
    `schema`: constrain the reply to JSON of this JSON schema, given as text.
    """

    text: str = ""
    images: tuple[Image, ...] = ()
    speaker: Literal["assistant", "user"] = "assistant"
    sampling: Sampling = GREEDY
    n: int = 1
    likelihood: bool = False
    choices: tuple[str, ...] = ()
    weigh: bool = False
    schema: str = ""

    def __post_init__(self) -> None:
        if self.choices and self.schema:
            raise ValueError("a request has either `choices` or a `schema`: a reply can't be constrained by both")


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a pool, with the id of its row, its seed and its priority (lower values are served first)."""

    request: Request
    row: str
    seed: int
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled text. `finish` is "length" if it was cut off at `max_tokens` or at the context limit.

    `reasoning` is the reasoning of a model before its answer; no stage parses a verdict out of it. `probabilities`: of
    each choice of a request with `weigh`, 1 in all.
    """

    text: str
    finish: Literal["stop", "length"] = "stop"
    tokens: int = 0
    likelihood: float | None = None
    reasoning: str = ""
    probabilities: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        # A server's JSON may hold a lone surrogate, which can't be encoded as UTF-8 and would fail when written.
        for name in ("text", "reasoning"):
            valid = getattr(self, name).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            object.__setattr__(self, name, valid)


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply to one request, with its prompt tokens (images included).

    `engine` is the replica that answered, `seconds` its time on the request, queueing included. `keeps`: the engine
    has cached the request's images and will accept their digests alone. `holds`: number of rows with such a request
    that fit into its KV cache at once (0: unknown).
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
        """The text of the first sample."""
        return self.samples[0].text

    @classmethod
    def of(cls, *texts: str) -> "Reply":
        """Return a reply with one sample per text, for scripts and tests."""
        return cls(tuple(Sample(text, tokens=len(text.split())) for text in texts))


@dataclass(frozen=True, slots=True)
class Divert:
    """A stage's decision that a row leaves its route: to `REJECTED`, `FAILED`, or one of the stage's `exits`.

    `reason` is a fixed word, `detail` the text that shows why, `out` the output if there is one (a score that is too
    low is still a score).
    """

    route: str
    reason: str
    detail: str = ""
    out: Any = None
