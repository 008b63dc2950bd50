"""Progress: the figures of a session that the driver writes into the run folder as `progress.json`."""

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
SILENT_S = 30.0  # a driver that has not written for this long, or for three intervals, may be dead


class Place(BaseModel):
    """The rows at one node: how many, and the seconds of the one that has been there longest."""

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
    """A session at one moment. Rows, tokens and seconds are those of this session.

    `rows_before` ended in earlier sessions. `rows_waiting` are at the end of the `phase`, where a run has phases.
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
        """Rows of the input that have not ended, including those in flight."""
        return max(0, self.input_rows - self.rows_before - sum(self.rows.values()))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def seconds_left(self) -> float | None:
        """Seconds until all rows have ended, at the rate of the last minute; None where no row ends."""
        return self.rows_left / self.recent_rows_per_s if self.recent_rows_per_s else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def tokens(self) -> dict[str, int]:
        """Tokens of rows that have ended: of prompts, of these from the cache, and of replies."""
        return {
            kind: sum(getattr(cost, f"{kind}_tokens") for cost in self.cost.values())
            for kind in ("prompt", "cached", "reply")
        }

    @computed_field  # type: ignore[prop-decorator]
    @property
    def gpu_seconds_per_accepted_row(self) -> float | None:
        """GPU-seconds per accepted row so far; None where no row was accepted."""
        return sum(self.gpu_seconds.values()) / accepted if (accepted := self.rows.get("accepted")) else None

    @property
    def silent_s(self) -> float:
        """Seconds since the driver has written, by this machine's clock."""
        return (datetime.now(UTC) - self.time).total_seconds()

    @property
    def silent(self) -> bool:
        """Whether that is too long for a driver that is alive."""
        return self.silent_s > max(SILENT_S, 3 * self.every_s)


def write_progress(folder: str, progress: Progress) -> None:
    """Write `progress.json` atomically. Raises what the file system raises."""
    write_atomically(folder, FILE, progress.model_dump_json(indent=2))


def read_progress(folder: str) -> Progress | None:
    """Return what the driver wrote last; None where no driver has. Raises JobError where it can't be read."""
    fs, base = locate(folder)
    try:
        text = fs.cat_file(f"{base.rstrip('/')}/{FILE}")
        return Progress.model_validate(json.loads(text))
    except FileNotFoundError:
        return None
    except (ValueError, ValidationError) as error:
        raise JobError([f"{folder}/{FILE} can't be read: {str(error).splitlines()[0]}"]) from None


def publish(set_metric: Callable[..., None], progress: Progress, nodes: set[str]) -> None:
    """Set the run's metrics (`metrics.Metrics`) to these figures; `nodes` are those where rows may be."""
    left = Counter(progress.rows)
    for reason in progress.reasons:
        set_metric("oasis_rows_total", reason.rows, outcome=reason.outcome, node=reason.node, reason=reason.reason)
        left[reason.outcome] -= reason.rows
    for outcome, rows in left.items():
        set_metric("oasis_rows_total", rows, outcome=outcome, node="", reason="")
    in_flight: dict[str, Any] = {place.node: place for place in progress.in_flight}
    for node in sorted(nodes | set(in_flight)):
        set_metric("oasis_rows_in_flight", in_flight[node].rows if node in in_flight else 0, node=node)
        set_metric("oasis_oldest_row_seconds", in_flight[node].seconds if node in in_flight else 0, node=node)
    set_metric("oasis_rows_left", progress.rows_left)
    for node, cost in progress.cost.items():
        set_metric("oasis_requests_total", cost.requests, node=node)
        set_metric("oasis_request_seconds_total", cost.seconds, node=node)
        set_metric("oasis_tokens_total", cost.prompt_tokens, node=node, kind="prompt")
        set_metric("oasis_tokens_total", cost.cached_tokens, node=node, kind="cached")
        set_metric("oasis_tokens_total", cost.reply_tokens, node=node, kind="reply")
    for pool, states in progress.engines.items():
        for state, engines in states.items():
            set_metric("oasis_engines", engines, pool=pool, state=state)
    for pool, seconds in progress.gpu_seconds.items():
        set_metric("oasis_gpu_seconds_total", seconds, pool=pool)
    if progress.gpu_seconds_per_accepted_row is not None:
        set_metric("oasis_gpu_seconds_per_accepted_row", progress.gpu_seconds_per_accepted_row)
