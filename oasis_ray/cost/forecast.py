"""Forecast of a job, computed from the usage and outcomes of its probe's rows.

docs/cost.md explains how each figure is predicted, and what a probe can't show.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from oasis_ray.cost.interval_estimate import CONFIDENCE, Array, Estimate, draw, of_share, of_sum
from oasis_ray.cost.judge_order import JudgeOrder, best_order, work_of
from oasis_ray.cost.node_numbers import NodeNumbers
from oasis_ray.cost.throughput import Size, Throughput
from oasis_ray.job.prices import Prices
from oasis_ray.output.counts import Counts, EndedRow, Usage
from oasis_ray.output.funnel import passages
from oasis_ray.output.outcomes import outcomes_of
from oasis_ray.types import DROPPED, REJECTED

MEMORY = "peak memory, MiB"
MEMORY_SLACK = 1.25  # a rule of thumb: memory is sampled every five seconds, and heaps grow
STEPS = 5  # further sizes, each with one more engine at the bottleneck of the previous one


@dataclass(frozen=True)
class ProbeRow:
    """A row of a probe: where it ended, its usage by node, and for each judge whether it accepted the row.

    `verdicts` lacks judges that were not asked or gave no verdict.
    """

    outcome: str
    node: str = ""
    reason: str = ""
    asked: Mapping[str, Usage] = field(default_factory=dict)
    verdicts: Mapping[str, bool] = field(default_factory=dict)
    moves: Sequence[Mapping[str, Any]] = ()


class Forecast(BaseModel):
    """Forecast of a whole job, for the engines of the probe (the first of `sizes`) and for more engines."""

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
    gpu_hours_at: dict[str, float] = {}  # prices of a GPU-hour by type
    numbers: tuple[NodeNumbers, ...] = ()  # of the probe

    @property
    def graded(self) -> list[Estimate]:
        """The figures with a known actual value."""
        return [figure for figure in self.figures if figure.actual is not None]


@dataclass(frozen=True)
class Sample:
    """The rows of a probe as arrays, weighted by the share of their requests that the job will make.

    The weight is 1 up to the node where a row ends; for later nodes it is the share of rows that the job fully scores.
    """

    rows: Sequence[ProbeRow]
    nodes: Sequence[Mapping[str, Any]]
    score_in_full: float

    def of(self, kind: str, node: str) -> Array:
        """Return the usage of `node` by each row, of this kind (a field of `Usage`): [rows]."""
        return np.array([getattr(row.asked[node], kind) * self._weight(row, node) if node in row.asked else 0.0
                         for row in self.rows], dtype=float)  # fmt: skip

    def held(self, pool: str) -> Array:
        """Return the seconds of each row's requests in this pool's engines: [rows]."""
        by_node = [self.of("seconds", node["name"]) for node in self.nodes if node["pool"] == pool]
        return np.sum(by_node, axis=0) if by_node else np.zeros(len(self.rows))

    def _weight(self, row: ProbeRow, node: str) -> float:
        order = [other["name"] for other in self.nodes]
        beyond = row.node in order and order.index(node) > order.index(row.node)
        return self.score_in_full if beyond and row.outcome == REJECTED else 1.0


def predict(
    rows: Sequence[ProbeRow],
    manifest: Mapping[str, Any],
    *,
    total: int,
    score_in_full: float,
    throughput: Throughput | None = None,
    groups: Sequence[tuple[str, ...]] = (),
    prices: Prices | None = None,
    gpu_hour: float | None = None,
    numbers: tuple[NodeNumbers, ...] = (),
) -> Forecast:
    """Return the forecast for `total` rows, from a fully scored sample of them in a run with this manifest.

    Without `throughput` there are no figures for time. `groups` are judges whose order may change, `gpu_hour` is what
    the probe paid for an hour of one GPU, `numbers` are those of its nodes.
    """
    sample, draws = Sample(rows, manifest["nodes"], score_in_full), draw(len(rows))
    figures = [*_funnel(rows, manifest, total), *_tokens(sample, draws, total), *_memory(manifest)]
    sizes: list[Size] = []
    orders: list[JudgeOrder] = []
    if throughput is not None and throughput.pools:
        held = {pool: sample.held(pool) for pool in throughput.pools}
        sizes = _sizes(throughput, held, draws, total)
        figures.append(sizes[0].wall_s)
        figures += [hours for pool, hours in sizes[0].gpu_hours.items() if throughput.pools[pool].gpus]
        if any(pool.gpus for pool in throughput.pools.values()):
            figures.append(sizes[0].all_gpu_hours)
            if gpu_hour is not None:
                figures.append(scaled(sizes[0].all_gpu_hours, "money", gpu_hour))
        orders = [order for group in groups if (order := _order(group, sample, throughput)) is not None]
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
        numbers=numbers,
    )


def scaled(figure: Estimate, what: str, factor: float) -> Estimate:
    """Return a figure multiplied by `factor`, as the figure `what`."""
    low, at, high = (value * factor for value in (figure.low, figure.predicted, figure.high))
    return Estimate(what=what, of=figure.of, predicted=at, low=low, high=high)


def _funnel(rows: Sequence[ProbeRow], manifest: Mapping[str, Any], total: int) -> Iterator[Estimate]:
    ended = Counts()
    ended.add(EndedRow(row.outcome, row.node or None, row.reason or None, [], row.moves) for row in rows)
    for (what, of), count in counts(manifest, ended).items():
        yield of_share(what, of, count, len(rows), total)


def counts(manifest: Mapping[str, Any], ended: Counts) -> dict[tuple[str, str], int]:
    """Return the numbers of rows by outcome, and by node those that reached it, and were rejected or failed there."""
    rows = {("rows", outcome): ended.outcomes[outcome] for outcome in outcomes_of(manifest)}
    for passage in passages(manifest, ended):
        rows["rows in", passage.node] = passage.rows
        for outcome in DROPPED:
            left = sum(count for leaving, count in passage.left.items() if leaving.to == outcome)
            if left:
                rows[outcome, passage.node] = left
    return rows


def _tokens(sample: Sample, draws: Array, total: int) -> Iterator[Estimate]:
    for node in (node["name"] for node in sample.nodes if node["pool"]):
        for what, kind in (("tokens read", "prompt_tokens"), ("tokens written", "reply_tokens")):
            yield of_sum(what, node, sample.of(kind, node), draws, total)


def _memory(manifest: Mapping[str, Any]) -> Iterator[Estimate]:
    """The probe's peak: it does not grow with the rows, since rows in flight are limited."""
    if peak := max((session.get("peak_memory_mib", 0) for session in manifest["sessions"]), default=0):
        yield Estimate(what=MEMORY, predicted=peak, low=peak / MEMORY_SLACK, high=peak * MEMORY_SLACK)


def _sizes(throughput: Throughput, held: Mapping[str, Array], draws: Array, total: int) -> list[Size]:
    """Return the size of the probe, then sizes that each have one more engine at the previous bottleneck."""
    sizes = [throughput.size(held, draws, total)]
    for _ in range(STEPS):
        last = sizes[-1]
        sizes.append(
            throughput.size(held, draws, total, last.engines | {last.bottleneck: last.engines[last.bottleneck] + 1})
        )
    return sizes


def _order(group: tuple[str, ...], sample: Sample, throughput: Throughput) -> JudgeOrder | None:
    """Return the cheapest order of these judges; None if no row has verdicts of all of them."""
    pools = {node["name"]: node["pool"] for node in sample.nodes}
    judged = [row for row in sample.rows if all(name in row.asked and name in row.verdicts for name in group)]
    if not judged:
        return None

    def work(row: ProbeRow, name: str) -> float:
        engines = throughput.pools[pools[name]]
        return row.asked[name].seconds * throughput.work(pools[name]) * (engines.gpus or 1.0)

    passes = {name: np.array([row.verdicts[name] for row in judged]) for name in group}
    spent = {name: np.array([work(row, name) for row in judged]) for name in group}
    best = best_order(group, passes, spent)
    current, least = work_of(group, passes, spent), work_of(best, passes, spent)
    total = sum(
        float(sample.held(pool).sum()) * throughput.work(pool) * (engines.gpus or 1.0)
        for pool, engines in throughput.pools.items()
    )
    saved = (current - least) * (1 - sample.score_in_full)
    return JudgeOrder(
        judges=group, best=best, work=total / len(sample.rows), best_work=(total - saved) / len(sample.rows)
    )
