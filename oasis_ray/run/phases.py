"""Phases: the pools of a job one after another, where the cluster can't hold them all at once.

In a phase some pools are up, and each row goes as far through its route as their nodes lead; then it waits. Rows don't
wait for each other, so a phase takes in what any route has for its pools. The order is searched that loads engines
least often, and among these the one with the fewest phases. Where all pools fit together, that is one phase.
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
from oasis_ray.types import Route

Pools = frozenset[str]
Path = tuple[Node, ...]


@dataclass(frozen=True)
class Phase:
    """One of a run's phases: its number, counted from 1, the pools that are up, and the nodes that rows then pass."""

    number: int
    of: int
    pools: Pools
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        return f"phase {self.number} of {self.of}: {', '.join(sorted(self.pools))}"


def plan(
    job: Job, recipe: Recipe, gpus: Mapping[str, bool], have: list[ClusterNode], *, grows: bool
) -> tuple[Phase, ...]:
    """The phases of a job on these nodes; where the cluster `grows`, nodes come for all pools at once.

    Raises FitError where the pools won't fit; with `phases: auto` only where one of them does not by itself. A pool
    that may have no engine counts with one there: it needs room as soon as a row comes to it.
    """
    wanted = needs(job.pools, gpus)
    if grows:
        return together(recipe, job.pools)
    if job.phases == "off":
        fit(wanted, have)
        return together(recipe, job.pools)
    # Of a pool of several types the first counts with one engine, where none need be there.
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
    """All pools in one phase."""
    return _named(recipe, (frozenset(pools),))


def cut(
    recipe: Recipe, pools: Collection[str], fits: Callable[[Collection[str]], bool], free: Collection[str] = ()
) -> tuple[Phase, ...]:
    """The phases with the fewest loads, of these the fewest phases.

    `fits` tells which pools can be up together; those that are `free` (servers) are no load, and up in each phase that
    has a node of theirs. Raises FitError where no order of what fits will do.
    """
    heavy = sorted(set(pools) - set(free))
    sets = (frozenset((*some, *free)) for size in range(len(heavy) + 1) for some in combinations(heavy, size))
    possible = [some for some in sets if fits(some)]
    begin = tuple(_onward(path, frozenset()) for path in _paths(recipe))
    # Dijkstra over what each kind of row still has before it and what is up. An entry is what it has cost to come
    # there (loads, then phases); between equals the one found first is taken, so a job's phases are always the same.
    queue: list[tuple[int, int, int, tuple[Path, ...], tuple[Pools, ...]]] = [(0, 0, 0, begin, ())]
    seen, found = set(), count(1)
    while queue:
        loads, number, _, paths, chosen = heappop(queue)
        if not any(paths):
            return _named(recipe, chosen or (frozenset(),))
        up = chosen[-1] if chosen else frozenset()
        if (place := (tuple(map(len, paths)), up)) in seen:
            continue
        seen.add(place)
        for some in possible:
            left = tuple(_onward(path, some) for path in paths)
            if left != paths:
                heappush(queue, (loads + len(some - up - set(free)), number + 1, next(found), left, (*chosen, some)))
    raise FitError("no order of the pools brings every row to its end")


def due(shards: Shards, waiting: pa.Table, recipe: Recipe, phase: Phase) -> Shards:
    """Of what is to be done in `shards`, the rows whose turn is in `phase`, and the parts that have their states.

    A row that waits (`waiting.read_waiting`) goes on in the phase of its node; the others begin in phase 1.
    """
    here = pa.array([node.name in phase.nodes for node in recipe.nodes], pa.bool_())
    if not waiting.num_rows:
        return shards if phase.number == 1 else Shards(shards.input, (), shards.listing)
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


def _paths(recipe: Recipe) -> tuple[Path, ...]:
    """The ways that rows can take: the main route, and from each node that diverts, the route that it sends to."""
    main = tuple(node for node in recipe.nodes if node.route is Route.MAIN)
    found = [main]
    for place, node in enumerate(recipe.nodes):
        before = [earlier for earlier in recipe.nodes[: place + 1] if earlier.route is Route.MAIN]
        for route in node.stage.routes:
            found.append((*before, *(later for later in recipe.nodes[place + 1 :] if later.route is route)))
    return tuple(found)


def _onward(path: Path, up: Pools) -> Path:
    """What is left of a path when a row has gone as far as these pools let it."""
    stop = next((place for place, node in enumerate(path) if node.pool is not None and node.pool not in up), len(path))
    return path[stop:]


def _named(recipe: Recipe, chosen: Sequence[Pools]) -> tuple[Phase, ...]:
    """The phases with their nodes. A node that rows come to by several paths belongs to the last of their phases.

    A pool is up from the first phase that has a node of it to the last, but for those in which others need its room.
    """
    turn: dict[str, int] = {}
    for path in _paths(recipe):
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
