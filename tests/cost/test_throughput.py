"""Throughput model: it predicts a job's time however an engine's throughput grows with its requests."""

import random
from collections.abc import Callable

import numpy as np
import pytest

from oasis_ray.cost.interval_estimate import draw
from oasis_ray.cost.throughput import Engines, Throughput

Law = Callable[[int], float]
Row = list[tuple[str, float]]

# The work per second of an engine with this number of requests.
LAWS: dict[str, Law] = {
    "constant throughput": lambda requests: 1.0,
    "saturates at 8 requests": lambda requests: requests / (1 + requests / 8),
    "saturates at 64 requests": lambda requests: requests / (1 + requests / 64),
}


def queue(
    rows: list[Row], engines: dict[str, int], slots: int, law: Law
) -> tuple[float, list[dict[str, float]], float]:
    """Simulate rows that go from pool to pool, at most `slots` at a time, each on an engine of its own choice per pool.

    Returns the total seconds, the seconds of each row in each pool, and the average number of rows in flight.
    """
    now = flown = 0.0
    waiting = list(range(len(rows)))[::-1]
    flying: dict[int, tuple[int, float]] = {}  # the step that a row has reached, and its remaining work
    held = [dict.fromkeys(engines, 0.0) for _ in rows]
    while waiting or flying:
        while waiting and len(flying) < slots:
            name = waiting.pop()
            flying[name] = 0, rows[name][0][1]
        at = {
            name: (rows[name][step][0], name * 7919 % engines[rows[name][step][0]])
            for name, (step, _) in flying.items()
        }
        load = {engine: list(at.values()).count(engine) for engine in set(at.values())}
        speed = {name: law(load[engine]) / load[engine] for name, engine in at.items()}
        step_s = min(left / speed[name] for name, (_, left) in flying.items())
        now, flown = now + step_s, flown + step_s * len(flying)
        for name, (step, left) in list(flying.items()):
            held[name][at[name][0]] += step_s
            left -= step_s * speed[name]
            if left > 1e-9:
                flying[name] = step, left
            elif step + 1 < len(rows[name]):
                flying[name] = step + 1, rows[name][step + 1][1]
            else:
                del flying[name]
    return now, held, flown / now


def job(rows: int) -> list[Row]:
    """Return rows that use two pools once; half of them use the first one four more times."""
    chance = random.Random(1)
    job_rows = []
    for _ in range(rows):
        row = [("vlm", chance.expovariate(1)), ("llm", chance.expovariate(2))]
        job_rows.append(row + [("vlm", chance.expovariate(1.5)) for _ in range(4)] * (chance.random() < 0.5))
    return job_rows


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_interval_contains_the_time_of_the_job_with_these_engines_and_with_others(law: Law) -> None:
    rows, single = job(400), {"vlm": 1, "llm": 1}
    probe = [rows[number] for number in sorted(random.Random(2).sample(range(len(rows)), 80))]
    seconds, held, at_once = queue(probe, single, 16, law)
    values = {pool: np.array([row[pool] for row in held]) for pool in single}
    pools = {pool: Engines(1, 1, float(values[pool].sum())) for pool in single}
    throughput = Throughput(pools, len(probe), seconds, loading=0, around=0, filled=at_once / 16)
    for engines in (single, {"vlm": 2, "llm": 1}, {"vlm": 2, "llm": 2}):
        size = throughput.size(
            values, draw(len(probe)), len(rows), {pool: float(count) for pool, count in engines.items()}
        )
        actual_s, *_ = queue(rows, engines, 16 * engines["vlm"], law)
        assert size.wall_s.low <= actual_s <= size.wall_s.high, engines
        if engines == single:
            assert size.wall_s.predicted == pytest.approx(actual_s, rel=0.25)
            assert size.bottleneck == "vlm"
