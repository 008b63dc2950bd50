"""The forecast of a job from the rows of its probe: pure arithmetic on what these rows were asked and how they ended.

docs/cost.md says how each figure is predicted, and what a probe can't tell.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from oasis_ray.cost.estimate import CONFIDENCE, Array, Estimate, draw, of_share, of_sum
from oasis_ray.cost.judge_order import JudgeOrder, best_order, work_of
from oasis_ray.cost.throughput import Size, Throughput
from oasis_ray.job.prices import Prices
from oasis_ray.output.counts import Counts, Usage
from oasis_ray.output.funnel import passages
from oasis_ray.types import Outcome

MEMORY = "peak memory, MiB"
MEMORY_SLACK = 1.25  # a rule of thumb, no statistics: one look in five seconds, and heaps that grow
STEPS = 5  # sizes that are told: an engine more where the bottleneck is, so many times


@dataclass(frozen=True)
class ProbeRow:
    """A row of a probe: how it ended, what each node asked for it, and whether each judge that was asked let it go on.

    A judge that gave no verdict is not among `verdicts`.
    """

    outcome: str
    node: str = ""
    reason: str = ""
    asked: Mapping[str, Usage] = field(default_factory=dict)
    verdicts: Mapping[str, bool] = field(default_factory=dict)


class Forecast(BaseModel):
    """What a probe says of its whole job: for the engines that it ran on (the first of `sizes`), and for others."""

    model_config = ConfigDict(frozen=True)

    rows: int
    probe_rows: int
    confidence: float = CONFIDENCE
    score_in_full: float
    figures: tuple[Estimate, ...]
    sizes: tuple[Size, ...] = ()
    actual_bottleneck: str | None = None
    orders: tuple[JudgeOrder, ...] = ()
    currency: str | None = None
    gpu_hour: float | None = None
    gpu_hours_at: dict[str, float] = {}  # prices of a GPU-hour, by type

    @property
    def graded(self) -> list[Estimate]:
        """The figures whose actual values are known."""
        return [figure for figure in self.figures if figure.actual is not None]


@dataclass(frozen=True)
class Sample:
    """The rows of a probe as arrays, and the share of each request that the job will make: 1 up to the node where the
    row leaves, after it the share of rows that the job scores in full.
    """

    rows: Sequence[ProbeRow]
    nodes: Sequence[Mapping[str, Any]]
    score_in_full: float

    def of(self, kind: str, node: str) -> Array:
        """For every row what `node` will take of this kind (a field of `Usage`)."""
        return np.array([getattr(row.asked[node], kind) * self._kept(row, node) if node in row.asked else 0.0
                         for row in self.rows], dtype=float)  # fmt: skip

    def held(self, pool: str) -> Array:
        """For every row the seconds in this pool's engines."""
        every = [self.of("seconds", node["name"]) for node in self.nodes if node["pool"] == pool]
        return np.sum(every, axis=0) if every else np.zeros(len(self.rows))

    def _kept(self, row: ProbeRow, node: str) -> float:
        order = [one["name"] for one in self.nodes]
        beyond = row.node in order and order.index(node) > order.index(row.node)
        return self.score_in_full if beyond and row.outcome == Outcome.REJECTED else 1.0


def predict(
    rows: Sequence[ProbeRow],
    manifest: Mapping[str, Any],
    *,
    total: int,
    score_in_full: float,
    pace: Throughput | None = None,
    groups: Sequence[tuple[str, ...]] = (),
    prices: Prices | None = None,
    gpu_hour: float | None = None,
) -> Forecast:
    """What `total` rows will do, from some of them that were judged on every axis, in a run with this manifest.

    Without a `pace` nothing is said of time. `groups` are the judges that may change places, `gpu_hour` what an hour of
    one GPU has cost the probe.
    """
    sample, draws = Sample(rows, manifest["nodes"], score_in_full), draw(len(rows))
    figures = [*_funnel(rows, manifest, total), *_tokens(sample, draws, total), *_memory(manifest)]
    sizes: list[Size] = []
    orders: list[JudgeOrder] = []
    if pace is not None and pace.pools:
        held = {pool: sample.held(pool) for pool in pace.pools}
        sizes = _sizes(pace, held, draws, total)
        figures.append(sizes[0].wall_s)
        figures += [one for pool, one in sizes[0].gpu_hours.items() if pace.pools[pool].gpus]
        if any(one.gpus for one in pace.pools.values()):
            figures.append(sizes[0].all_gpu_hours)
            if gpu_hour is not None:
                figures.append(scaled(sizes[0].all_gpu_hours, "money", gpu_hour))
        orders = [order for group in groups if (order := _order(group, sample, pace)) is not None]
    return Forecast(
        rows=total,
        probe_rows=len(rows),
        score_in_full=score_in_full,
        figures=tuple(figures),
        sizes=tuple(sizes),
        orders=tuple(orders),
        currency=prices.currency if prices else None,
        gpu_hour=gpu_hour,
        gpu_hours_at=dict(prices.gpus) if prices else {},
    )


def scaled(figure: Estimate, what: str, factor: float) -> Estimate:
    """A figure in other units."""
    low, at, high = (value * factor for value in (figure.low, figure.predicted, figure.high))
    return Estimate(what=what, of=figure.of, predicted=at, low=low, high=high)


def _funnel(rows: Sequence[ProbeRow], manifest: Mapping[str, Any], total: int) -> Iterator[Estimate]:
    tally = Counts()
    tally.add((row.outcome, row.node or None, row.reason or None, []) for row in rows)
    for (what, of), count in counts(manifest, tally).items():
        yield of_share(what, of, count, len(rows), total)


def counts(manifest: Mapping[str, Any], tally: Counts) -> dict[tuple[str, str], int]:
    """The rows that ended in each outcome, that came to each node, and that were rejected or failed there."""
    found = {("rows", str(outcome)): tally.outcomes[outcome] for outcome in Outcome}
    for one in passages(manifest, tally):
        found["rows in", one.node] = one.rows
        for outcome in (Outcome.REJECTED, Outcome.FAILED):
            left = sum(rows for why, rows in one.left.items() if why.startswith(outcome))
            if left:
                found[str(outcome), one.node] = left
    return found


def _tokens(sample: Sample, draws: Array, total: int) -> Iterator[Estimate]:
    for node in (node["name"] for node in sample.nodes if node["pool"]):
        for what, kind in (("tokens read", "prompt_tokens"), ("tokens written", "reply_tokens")):
            yield of_sum(what, node, sample.of(kind, node), draws, total)


def _memory(manifest: Mapping[str, Any]) -> Iterator[Estimate]:
    """The probe's own peak: rows in flight are bounded, however many rows there are."""
    if peak := max((session.get("peak_memory_mib", 0) for session in manifest["sessions"]), default=0):
        yield Estimate(what=MEMORY, predicted=peak, low=peak / MEMORY_SLACK, high=peak * MEMORY_SLACK)


def _sizes(pace: Throughput, held: Mapping[str, Array], draws: Array, total: int) -> list[Size]:
    """The probe's own engines; then, time and again, one more where the bottleneck is."""
    sizes = [pace.size(held, draws, total)]
    for _ in range(STEPS):
        last = sizes[-1]
        sizes.append(pace.size(held, draws, total, last.engines | {last.bottleneck: last.engines[last.bottleneck] + 1}))
    return sizes


def _order(group: tuple[str, ...], sample: Sample, pace: Throughput) -> JudgeOrder | None:
    """The order of these judges that costs least; None where no row came to all of them."""
    pools = {node["name"]: node["pool"] for node in sample.nodes}
    known = [row for row in sample.rows if all(name in row.asked and name in row.verdicts for name in group)]
    if not known:
        return None

    def work(row: ProbeRow, name: str) -> float:
        engines = pace.pools[pools[name]]
        return row.asked[name].seconds * pace.work(pools[name]) * (engines.gpus or 1.0)

    passes = {name: np.array([row.verdicts[name] for row in known]) for name in group}
    spent = {name: np.array([work(row, name) for row in known]) for name in group}
    best = best_order(group, passes, spent)
    now, then = work_of(group, passes, spent), work_of(best, passes, spent)
    every = sum(
        float(sample.held(pool).sum()) * pace.work(pool) * (one.gpus or 1.0) for pool, one in pace.pools.items()
    )
    saved = (now - then) * (1 - sample.score_in_full)
    return JudgeOrder(
        judges=group, best=best, work=every / len(sample.rows), best_work=(every - saved) / len(sample.rows)
    )
