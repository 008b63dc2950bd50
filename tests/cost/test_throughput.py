"""The pace of a probe predicts the time of a job, whatever the law by which engines gain from many requests."""

import random
from collections.abc import Callable

import numpy as np
import pytest

from oasis_ray.cost.estimate import draw
from oasis_ray.cost.throughput import Engines, Throughput

Law = Callable[[int], float]
Row = list[tuple[str, float]]

# The work that an engine does in a second with so many requests.
LAWS: dict[str, Law] = {
    "it shares itself": lambda requests: 1.0,
    "it gains by eight requests": lambda requests: requests / (1 + requests / 8),
    "it gains by many requests": lambda requests: requests / (1 + requests / 64),
}


def queue(
    rows: list[Row], engines: dict[str, int], places: int, law: Law
) -> tuple[float, list[dict[str, float]], float]:
    """An exact simulation: rows go from pool to pool, so many at once, each on its own engine of a pool.

    Gives the seconds in all, those of each row in each pool, and the rows in flight on average.
    """
    now = flown = 0.0
    waiting = list(range(len(rows)))[::-1]
    flying: dict[int, tuple[int, float]] = {}  # the step at which a row stands, and the work that is left of it
    held = [dict.fromkeys(engines, 0.0) for _ in rows]
    while waiting or flying:
        while waiting and len(flying) < places:
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
    """Rows that all see two pools; half of them see the first one four times more."""
    chance = random.Random(1)
    made = []
    for _ in range(rows):
        row = [("vlm", chance.expovariate(1)), ("llm", chance.expovariate(2))]
        made.append(row + [("vlm", chance.expovariate(1.5)) for _ in range(4)] * (chance.random() < 0.5))
    return made


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_interval_holds_the_time_of_the_job_with_these_engines_and_with_others(law: Law) -> None:
    rows, one = job(400), {"vlm": 1, "llm": 1}
    probe = [rows[place] for place in sorted(random.Random(2).sample(range(len(rows)), 80))]
    seconds, held, at_once = queue(probe, one, 16, law)
    values = {pool: np.array([row[pool] for row in held]) for pool in one}
    pools = {pool: Engines(1, 1, float(values[pool].sum())) for pool in one}
    throughput = Throughput(pools, len(probe), seconds, loading=0, around=0, filled=at_once / 16)
    for engines in (one, {"vlm": 2, "llm": 1}, {"vlm": 2, "llm": 2}):
        told = throughput.size(
            values, draw(len(probe)), len(rows), {pool: float(count) for pool, count in engines.items()}
        )
        came, *_ = queue(rows, engines, 16 * engines["vlm"], law)
        assert told.wall_s.low <= came <= told.wall_s.high, engines
        if engines == one:
            assert told.wall_s.predicted == pytest.approx(came, rel=0.25)
            assert told.bottleneck == "vlm"
