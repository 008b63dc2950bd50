"""Phases: runs the pools of a job one after another where the cluster can't hold them all at once.

In a phase some pools are up. Each row passes the nodes of its route that these pools answer, and then waits. Rows don't
wait for each other, so a phase serves all routes. The search finds the order that loads engines least often, and among
these the one with the fewest phases. Where all pools fit together, there is one phase.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import combinations, count

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.cluster.capacity import Need, fit
from oasis_ray.cluster.nodes import Node as ClusterNode
from oasis_ray.errors import FitError
from oasis_ray.input.shards import Shards
from oasis_ray.job.job import Job
from oasis_ray.pool.placement import needs
from oasis_ray.recipe.recipe import Node, Recipe
from oasis_ray.recipe.routes import paths

Pools = frozenset[str]
Path = tuple[Node, ...]


@dataclass(frozen=True)
class Phase:
    """One phase of a run: its number, from 1, the pools that are up, and the nodes that rows pass in it."""

    number: int
    of: int
    pools: Pools
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        return f"phase {self.number} of {self.of}: {', '.join(sorted(self.pools))}"


def plan(
    job: Job, recipe: Recipe, gpus: Mapping[str, bool], have: list[ClusterNode], *, grows: bool
) -> tuple[Phase, ...]:
    """Return the phases of a job on these nodes: one phase where the cluster `grows`, since nodes come for all pools.

    Raises FitError where the pools don't fit; with `phases: auto` only where a pool alone does not fit. A pool that may
    scale to zero counts with one engine, because it needs room as soon as a row reaches it.
    """
    wanted = needs(job.pools, gpus)
    if grows:
        return together(recipe, job.pools)
    if job.phases == "off":
        fit(wanted, have)
        return together(recipe, job.pools)
    # Of a pool with several types of GPU, the first counts with one engine where none is required.
    least: dict[str, list[Need]] = {}
    for need in wanted:
        least.setdefault(need.pool, []).append(need)
    for name, wants in least.items():
        if not any(need.engines for need in wants):
            least[name] = [replace(wants[0], engines=1), *wants[1:]]

    def fits(pools: Collection[str]) -> bool:
        try:
            fit([need for name in pools for need in least[name]], have)
        except FitError:
            return False
        return True

    fit([need for name, wants in least.items() if not fits([name]) for need in wants], have)
    return cut(recipe, job.pools, fits, free=[name for name in job.pools if not gpus[name]])


def together(recipe: Recipe, pools: Collection[str]) -> tuple[Phase, ...]:
    """Return one phase with all pools."""
    return _named(recipe, (frozenset(pools),))


def cut(
    recipe: Recipe, pools: Collection[str], fits: Callable[[Collection[str]], bool], free: Collection[str] = ()
) -> tuple[Phase, ...]:
    """Return the phases with the fewest loads of engines, and among these the fewest phases.

    `fits` says which pools can be up together. Pools that are `free` (servers) are no load, and are up in each phase
    that has one of their nodes. Raises FitError where no order of the pools lets every row reach an outcome.
    """
    heavy = sorted(set(pools) - set(free))
    sets = (frozenset((*some, *free)) for size in range(len(heavy) + 1) for some in combinations(heavy, size))
    possible = [some for some in sets if fits(some)]
    begin = tuple(_onward(path, frozenset()) for path in paths(recipe.nodes))
    # Dijkstra over the rest of each path and the pools that are up. The cost of an entry is (loads, phases); between
    # equals the one found first is taken, so a job's phases are always the same.
    queue: list[tuple[int, int, int, tuple[Path, ...], tuple[Pools, ...]]] = [(0, 0, 0, begin, ())]
    seen, found = set(), count(1)
    while queue:
        loads, number, _, rest, chosen = heappop(queue)
        if not any(rest):
            return _named(recipe, chosen or (frozenset(),))
        up = chosen[-1] if chosen else frozenset()
        if (place := (tuple(map(len, rest)), up)) in seen:
            continue
        seen.add(place)
        for some in possible:
            left = tuple(_onward(path, some) for path in rest)
            if left != rest:
                heappush(queue, (loads + len(some - up - set(free)), number + 1, next(found), left, (*chosen, some)))
    names = ", ".join(sorted(pools))
    raise FitError(f"the pools {names} can't be loaded in any order that lets every row reach an outcome")


def due(shards: Shards, waiting: pa.Table, recipe: Recipe, phase: Phase) -> Shards:
    """Return the rows of `shards` that are due in `phase`, with the parts that hold their states.

    A row that waits (`checkpoint.read_waiting`) continues in the phase of its node; the others begin in phase 1.
    """
    here = pa.array([node.name in phase.nodes for node in recipe.nodes], pa.bool_())
    if not waiting.num_rows:
        return shards if phase.number == 1 else replace(shards, groups=())
    found = pc.index_in(shards.ids, value_set=waiting.column("id")).combine_chunks()
    turn = here.take(waiting.column("place").combine_chunks().take(found))
    chosen = shards.only(pc.fill_null(turn, phase.number == 1))
    every = pa.chunked_array([group.ids_todo for group in chosen.groups], pa.string())
    found, at, groups = pc.index_in(every, value_set=waiting.column("id")), 0, []
    for group in chosen.groups:
        rows = found.slice(at, group.rows).drop_null()
        at += group.rows
        groups.append(replace(group, states=tuple(pc.unique(waiting.column("part").take(rows)).to_pylist())))
    return replace(chosen, groups=tuple(groups))


def _onward(path: Path, up: Pools) -> Path:
    """Return the rest of a path after the nodes that these pools answer."""
    stop = next((place for place, node in enumerate(path) if node.pool is not None and node.pool not in up), len(path))
    return path[stop:]


def _named(recipe: Recipe, chosen: Sequence[Pools]) -> tuple[Phase, ...]:
    """Return the phases with their nodes. A node on several paths belongs to the last of their phases.

    A pool is up from the first phase with one of its nodes to the last, except where other pools need its room.
    """
    turn: dict[str, int] = {}
    for path in paths(recipe.nodes):
        for number, up in enumerate(chosen, 1):
            left = _onward(path, up)
            for node in path[: len(path) - len(left)]:
                turn[node.name] = max(number, turn.get(node.name, 0))
            path = left
    wanted: dict[str, list[int]] = {}
    for node in recipe.nodes:
        if node.pool is not None:
            wanted.setdefault(node.pool, []).append(turn[node.name])
    return tuple(
        Phase(
            number,
            len(chosen),
            frozenset(pool for pool, turns in wanted.items() if pool in up and min(turns) <= number <= max(turns)),
            tuple(node.name for node in recipe.nodes if turn[node.name] == number),
        )
        for number, up in enumerate(chosen, 1)
    )
