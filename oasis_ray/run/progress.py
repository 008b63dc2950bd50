"""Where a session stands, as figures: what the driver writes into the run folder as `progress.json`."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field

from oasis_ray.cost.bill import Bill
from oasis_ray.errors import JobError
from oasis_ray.output.counts import Usage
from oasis_ray.storage import locate, write_atomically

FILE = "progress.json"
SILENT_S = 30.0  # a driver that has not written for so long, or for three times its interval, may be dead


class Place(BaseModel):
    """The rows that stand at one node: how many, and since how many seconds the longest of them."""

    model_config = ConfigDict(frozen=True)

    node: str
    pool: str | None
    rows: int
    oldest: str
    seconds: float


class Reason(BaseModel):
    """N rows were sent to this outcome by this node, for this reason. `progress.json` calls the outcome `fate`."""

    model_config = ConfigDict(frozen=True, validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    outcome: str = Field(alias="fate")
    node: str
    reason: str
    rows: int


class Progress(BaseModel):
    """One session at one moment. Rows, tokens and seconds are the session's own; `rows_before` had ended before it.

    `rows_waiting` have come to the end of the `phase`, where a run has phases.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    run: str
    session: str
    time: datetime
    every_s: float
    phase: str | None = None
    step: str
    step_s: float
    input_rows: int
    rows_before: int
    rows_waiting: int = 0
    rows: dict[str, int] = {}
    reasons: tuple[Reason, ...] = ()
    cost: dict[str, Usage] = {}
    in_flight: tuple[Place, ...] = ()
    engines: dict[str, dict[str, int]] = {}
    gpu_seconds: dict[str, float] = {}
    bill: Bill = Bill()
    rows_per_s: float | None = None
    recent_rows_per_s: float | None = None
    recent_reply_tokens_per_s: float | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def rows_left(self) -> int:
        """Rows of the input that have not ended, those in flight among them."""
        return max(0, self.input_rows - self.rows_before - sum(self.rows.values()))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def seconds_left(self) -> float | None:
        """At the pace of the last minute; None where nothing ends."""
        return self.rows_left / self.recent_rows_per_s if self.recent_rows_per_s else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def tokens(self) -> dict[str, int]:
        """Tokens of rows that have ended: read, of these from the cache, written."""
        return {
            kind: sum(getattr(cost, f"{kind}_tokens") for cost in self.cost.values())
            for kind in ("prompt", "cached", "reply")
        }

    @computed_field  # type: ignore[prop-decorator]
    @property
    def gpu_seconds_per_accepted_row(self) -> float | None:
        """What an accepted row has cost so far; None where there is none."""
        return sum(self.gpu_seconds.values()) / accepted if (accepted := self.rows.get("accepted")) else None

    @property
    def silent_s(self) -> float:
        """For how many seconds the driver has not written, by this machine's clock."""
        return (datetime.now(UTC) - self.time).total_seconds()

    @property
    def silent(self) -> bool:
        """Whether that is too long for a driver that lives."""
        return self.silent_s > max(SILENT_S, 3 * self.every_s)


def write_progress(folder: str, progress: Progress) -> None:
    """Write `progress.json`, whole or not at all. Raises what the file system raises."""
    write_atomically(folder, FILE, progress.model_dump_json(indent=2))


def read_progress(folder: str) -> Progress | None:
    """What the driver wrote last; None where no driver has written. Raises JobError where it can't be read."""
    fs, base = locate(folder)
    try:
        text = fs.cat_file(f"{base.rstrip('/')}/{FILE}")
        return Progress.model_validate(json.loads(text))
    except FileNotFoundError:
        return None
    except (ValueError, ValidationError) as error:
        raise JobError([f"{folder}/{FILE} can't be read: {str(error).splitlines()[0]}"]) from None


def publish(tell: Callable[..., None], progress: Progress, nodes: set[str]) -> None:
    """Set the run's metrics (`metrics.Metrics`) to these figures; `nodes` are those where rows may be."""
    left = Counter(progress.rows)
    for one in progress.reasons:
        tell("oasis_rows_total", one.rows, outcome=one.outcome, node=one.node, reason=one.reason)
        left[one.outcome] -= one.rows
    for outcome, rows in left.items():
        tell("oasis_rows_total", rows, outcome=outcome, node="", reason="")
    here: dict[str, Any] = {place.node: place for place in progress.in_flight}
    for node in sorted(nodes | set(here)):
        tell("oasis_rows_in_flight", here[node].rows if node in here else 0, node=node)
        tell("oasis_oldest_row_seconds", here[node].seconds if node in here else 0, node=node)
    tell("oasis_rows_left", progress.rows_left)
    for node, cost in progress.cost.items():
        tell("oasis_requests_total", cost.requests, node=node)
        tell("oasis_request_seconds_total", cost.seconds, node=node)
        tell("oasis_tokens_total", cost.prompt_tokens, node=node, kind="prompt")
        tell("oasis_tokens_total", cost.cached_tokens, node=node, kind="cached")
        tell("oasis_tokens_total", cost.reply_tokens, node=node, kind="reply")
    for pool, states in progress.engines.items():
        for state, engines in states.items():
            tell("oasis_engines", engines, pool=pool, state=state)
    for pool, seconds in progress.gpu_seconds.items():
        tell("oasis_gpu_seconds_total", seconds, pool=pool)
    if progress.gpu_seconds_per_accepted_row is not None:
        tell("oasis_gpu_seconds_per_accepted_row", progress.gpu_seconds_per_accepted_row)
