"""Bill of a run: GPU-seconds, tokens and money, by node and by outcome of the rows.

A pool's GPU-seconds are divided among nodes and rows in proportion to the seconds that their requests spent in its
engines (`seconds` of the lineage). Rejected rows have lines of their own; the cost per accepted row includes all lines.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, computed_field

from oasis_ray.job.prices import Prices
from oasis_ray.output.counts import Counts, Usage
from oasis_ray.types import ACCEPTED

HOUR_S = 3600


class Amount(BaseModel):
    """An amount of requests, tokens, GPU-seconds and money; `money` is None without prices."""

    model_config = ConfigDict(extra="ignore")

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    reply_tokens: int = 0
    gpu_seconds: float = 0.0
    money: float | None = None

    def add(self, usage: Usage, spent: "Spent") -> None:
        """Add a node's requests and their cost."""
        self.requests += usage.requests
        self.prompt_tokens += usage.prompt_tokens
        self.cached_tokens += usage.cached_tokens
        self.reply_tokens += usage.reply_tokens
        self.gpu_seconds += spent.gpu_seconds
        if spent.money is not None:
            self.money = (self.money or 0.0) + spent.money


class Line(Amount):
    """Rows of one outcome, node and reason, and their cost. `run.json` calls the outcome `fate`."""

    model_config = ConfigDict(extra="ignore", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    outcome: str = Field(alias="fate")
    node: str
    reason: str
    rows: int


class Spent(BaseModel):
    """Cost of a pool: seconds of running engines times GPUs per engine, and money."""

    gpu_seconds: float = 0.0
    money: float | None = None

    def part(self, share: float) -> "Spent":
        """Return this share of the cost."""
        return Spent(gpu_seconds=self.gpu_seconds * share, money=None if self.money is None else self.money * share)


class Bill(BaseModel):
    """Bill of a run or session. `lines` and `nodes` are two divisions of the same total."""

    model_config = ConfigDict(extra="ignore")

    currency: str | None = None
    total: Amount = Amount()
    pools: dict[str, Spent] = {}
    nodes: dict[str, Amount] = {}
    lines: tuple[Line, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def per_accepted_row(self) -> Spent | None:
        """The total cost divided by the number of accepted rows; None without accepted rows."""
        accepted = sum(line.rows for line in self.lines if line.outcome == ACCEPTED)
        return (
            Spent(gpu_seconds=self.total.gpu_seconds, money=self.total.money).part(1 / accepted) if accepted else None
        )


def spent_by(sessions: Iterable[Mapping[str, Any]], prices: Prices | None) -> dict[str, Spent]:
    """Return the cost of each pool over all sessions; sessions of older versions did not measure it.

    GPU-seconds on a type that the pool names have that type's price, all others the cluster's.
    """
    pools: dict[str, Spent] = {}
    for session in sessions:
        price = prices.of(session.get("gpus", ())) if prices else None
        for pool, seconds in session.get("gpu_seconds", {}).items():
            spent = pools.setdefault(pool, Spent(money=None if price is None else 0.0))
            spent.gpu_seconds += seconds
            if prices is not None and price is not None:
                typed = session.get("gpu_seconds_of_types", {}).get(pool, {})
                difference = sum(part * (prices.gpus.get(name, price) - price) for name, part in typed.items())
                spent.money = (spent.money or 0.0) + (seconds * price + difference) / HOUR_S
    return pools


def bill(
    counts: Counts, pools: Mapping[str, str | None], spent: Mapping[str, Spent], currency: str | None = None
) -> Bill:
    """Return the bill of these counts. `pools` has the pool of each node, `spent` the cost of each pool."""
    seconds: Counter[str] = Counter()  # of requests in the engines of a pool
    for node, usage in counts.costs.items():
        seconds[pools.get(node) or ""] += usage.seconds  # type: ignore[assignment]
    money = [pool.money for pool in spent.values() if pool.money is not None]
    nodes: dict[str, Amount] = {}
    lines = []
    for end, rows in counts.ends:
        line = Line(outcome=end.outcome, node=end.node, reason=end.reason, rows=rows, money=0.0 if money else None)
        for node, usage in counts.spent.get(end, {}).items():
            pool = pools.get(node) or ""
            share = usage.seconds / seconds[pool] if seconds[pool] else 0.0
            part = spent.get(pool, Spent()).part(share)
            line.add(usage, part)
            nodes.setdefault(node, Amount()).add(usage, part)
        lines.append(line)
    total = Amount()
    for usage in counts.costs.values():
        total.add(usage, Spent())
    total.gpu_seconds = sum(pool.gpu_seconds for pool in spent.values())
    total.money = sum(money) if money else None
    return Bill(currency=currency, total=total, pools=dict(spent), nodes=nodes, lines=tuple(lines))
