"""The bill of a run: GPU-seconds, tokens and money, by node and by where rows ended.

A pool's GPU-seconds are shared among nodes and rows in proportion to the seconds for which their requests were in its
engines (`seconds` of the lineage). So a row that was turned down has its own line, and accepted rows pay for all lines.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, computed_field

from oasis_ray.job.prices import Prices
from oasis_ray.output.counts import Counts, Usage
from oasis_ray.types import Outcome

HOUR_S = 3600


class Amount(BaseModel):
    """What something has cost; `money` is None where there are no prices."""

    model_config = ConfigDict(extra="ignore")

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    reply_tokens: int = 0
    gpu_seconds: float = 0.0
    money: float | None = None

    def add(self, cost: Usage, spent: "Spent") -> None:
        """Count a node's requests, and what they have cost."""
        self.requests += cost.requests
        self.prompt_tokens += cost.prompt_tokens
        self.cached_tokens += cost.cached_tokens
        self.reply_tokens += cost.reply_tokens
        self.gpu_seconds += spent.gpu_seconds
        if spent.money is not None:
            self.money = (self.money or 0.0) + spent.money


class Line(Amount):
    """The rows that ended in one way, and what they have cost. `run.json` calls the outcome `fate`."""

    model_config = ConfigDict(extra="ignore", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    outcome: str = Field(alias="fate")
    node: str
    reason: str
    rows: int


class Spent(BaseModel):
    """What a pool has cost: seconds of running engines times the GPUs that each holds, and money."""

    gpu_seconds: float = 0.0
    money: float | None = None

    def part(self, share: float) -> "Spent":
        """A share of it."""
        return Spent(gpu_seconds=self.gpu_seconds * share, money=None if self.money is None else self.money * share)


class Bill(BaseModel):
    """What a run, or a session, has cost. The lines and the nodes are two splits of the same sum."""

    model_config = ConfigDict(extra="ignore")

    currency: str | None = None
    total: Amount = Amount()
    pools: dict[str, Spent] = {}
    nodes: dict[str, Amount] = {}
    lines: tuple[Line, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def per_accepted_row(self) -> Spent | None:
        """The whole cost, over the accepted rows; None where there is none."""
        accepted = sum(line.rows for line in self.lines if line.outcome == Outcome.ACCEPTED)
        return (
            Spent(gpu_seconds=self.total.gpu_seconds, money=self.total.money).part(1 / accepted) if accepted else None
        )


def spent_by(sessions: Iterable[Mapping[str, Any]], prices: Prices | None) -> dict[str, Spent]:
    """What each pool has cost in all sessions together; those of older versions have not measured it.

    GPU-seconds on a type that the pool names are paid at that type's price, all others at the cluster's.
    """
    found: dict[str, Spent] = {}
    for session in sessions:
        price = prices.of(session.get("gpus", ())) if prices else None
        for pool, seconds in session.get("gpu_seconds", {}).items():
            spent = found.setdefault(pool, Spent(money=None if price is None else 0.0))
            spent.gpu_seconds += seconds
            if prices is not None and price is not None:
                typed = session.get("gpu_seconds_of_types", {}).get(pool, {})
                paid = sum(part * (prices.gpus.get(name, price) - price) for name, part in typed.items())
                spent.money = (spent.money or 0.0) + (seconds * price + paid) / HOUR_S
    return found


def bill(
    tally: Counts, pools: Mapping[str, str | None], spent: Mapping[str, Spent], currency: str | None = None
) -> Bill:
    """The bill of what is in a tally. `pools` names the pool of each node, `spent` what each pool has cost."""
    in_engines: Counter[str] = Counter()
    for node, cost in tally.costs.items():
        in_engines[pools.get(node) or ""] += cost.seconds  # type: ignore[assignment]
    money = [one.money for one in spent.values() if one.money is not None]
    nodes: dict[str, Amount] = {}
    lines = []
    for end, rows in tally.ends:
        line = Line(outcome=end.outcome, node=end.node, reason=end.reason, rows=rows, money=0.0 if money else None)
        for node, cost in tally.spent.get(end, {}).items():
            pool = pools.get(node) or ""
            share = cost.seconds / in_engines[pool] if in_engines[pool] else 0.0
            part = spent.get(pool, Spent()).part(share)
            line.add(cost, part)
            nodes.setdefault(node, Amount()).add(cost, part)
        lines.append(line)
    total = Amount()
    for cost in tally.costs.values():
        total.add(cost, Spent())
    total.gpu_seconds = sum(one.gpu_seconds for one in spent.values())
    total.money = sum(money) if money else None
    return Bill(currency=currency, total=total, pools=dict(spent), nodes=nodes, lines=tuple(lines))
