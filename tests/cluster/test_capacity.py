"""Capacity: the resources that pools need, and whether they fit on nodes. No cluster is started."""

from typing import Any

import pytest

from oasis_ray.cluster.capacity import Need, fit
from oasis_ray.cluster.nodes import Node
from oasis_ray.errors import FitError
from oasis_ray.job.pool import Pool
from oasis_ray.pool.placement import engines_on_cpus, needs, on_gpus


def cluster(*gpus: float) -> list[Node]:
    return [Node(f"n{number}", {"CPU": 8.0, **({"GPU": count} if count else {})}) for number, count in enumerate(gpus)]


def needs_of(pools: dict[str, dict[str, Any]], have: list[Node]) -> list[Need]:
    by_name = {name: Pool(model="some/model", **keys) for name, keys in pools.items()}
    return needs(by_name, on_gpus(by_name, have))


def engine(tensor: int = 1, pipeline: int = 1, **keys: Any) -> dict[str, Any]:
    return {"tensor_parallel": tensor, "pipeline_parallel": pipeline, **keys}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (engine(), (1, ({"GPU": 1.0},), "STRICT_PACK", True, None, 1)),
        (engine(4, replicas=[2, 8]), (2, ({"GPU": 1.0},) * 4, "STRICT_PACK", True, None, 8)),
        (engine(gpu_share=0.4), (1, ({"GPU": 0.4},), "STRICT_PACK", True, None, 1)),
        (engine(2, 2), (1, ({"GPU": 1.0},) * 4, "PACK", True, None, 1)),
        (engine(device="auto"), (1, ({"GPU": 1.0},), "STRICT_PACK", True, None, 1)),
        (engine(4, device="cpu"), (1, ({"CPU": 0.1},), "PACK", False, None, 1)),
        (engine(backend="openai", url="http://x/v1"), (1, ({"CPU": 0.1},), "PACK", False, None, 1)),
        (engine(backend="scripted", script="x:y"), (1, ({"CPU": 0.1},), "PACK", False, None, 1)),
    ],
)
def test_a_pool_needs_its_minimum_of_engines(keys: dict[str, Any], expected: tuple[Any, ...]) -> None:
    assert needs_of({"vlm": keys}, cluster(8)) == [Need("vlm", *expected)]


def test_a_pool_that_may_run_on_cpus_does_so_where_there_are_no_gpus() -> None:
    assert needs_of({"vlm": engine(2, device="auto")}, cluster(0)) == [
        Need("vlm", 1, ({"CPU": 0.1},), "PACK", gpus=False, most=1)
    ]


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        ({}, 0),
        ({"vlm": engine(device="cpu")}, 1),
        ({"vlm": engine(device="cpu", replicas=[0, 3]), "llm": engine(device="auto", replicas=2)}, 5),
        ({"vlm": engine(device="cpu"), "llm": engine(backend="openai", url="http://x/v1")}, 1),
        ({"vlm": engine(device="cpu"), "llm": engine(backend="scripted", script="x:y", device="cpu")}, 1),
    ],
)
def test_the_cores_are_shared_by_all_engines_that_compute_on_them(
    pools: dict[str, dict[str, Any]], expected: int
) -> None:
    by_name = {name: Pool(model="some/model", **keys) for name, keys in pools.items()}
    assert engines_on_cpus(by_name, on_gpus(by_name, cluster(0))) == expected


def test_engines_on_gpus_take_no_share_of_the_cores() -> None:
    pools = {"vlm": Pool(model="some/model", device="auto"), "llm": Pool(model="some/model", device="cpu")}
    assert engines_on_cpus(pools, on_gpus(pools, cluster(1))) == 1


@pytest.mark.parametrize(
    ("need", "expected"),
    [
        (Need("vlm", 1, ({"GPU": 1.0},), "STRICT_PACK", gpus=True), "1 engine, each 1 x GPU 1"),
        (Need("vlm", 2, ({"GPU": 1.0},) * 4, "STRICT_PACK", gpus=True), "2 engines, each 4 x GPU 1 on one node"),
        (Need("vlm", 1, ({"GPU": 1.0},) * 4, "PACK", gpus=True), "1 engine, each 4 x GPU 1"),
        (Need("vlm", 3, ({"GPU": 0.4},), "STRICT_PACK", gpus=True), "3 engines, each 1 x GPU 0.4"),
        (Need("vlm", 2, ({"CPU": 0.1},), "PACK", gpus=False), "2 engines, each on any free CPUs"),
    ],
)
def test_a_need_is_described(need: Need, expected: str) -> None:
    assert str(need) == expected


FITS = {
    "one GPU": ({"vlm": engine()}, (1,)),
    "a wide engine": ({"vlm": engine(4), "llm": engine(4)}, (8,)),
    "the wide one takes the whole node": ({"llm": engine(), "vlm": engine(4)}, (4, 1)),
    "narrow ones fill the gaps": ({"llm": engine(replicas=3), "vlm": engine(4, replicas=2)}, (4, 5, 2)),
    "pipeline groups on two nodes": ({"vlm": engine(2, 2)}, (2, 2)),
    "shares of one GPU": ({"vlm": engine(gpu_share=0.55), "llm": engine(gpu_share=0.4)}, (1,)),
    "thirds of one GPU": ({"vlm": engine(gpu_share=1 / 3, replicas=3)}, (1,)),
    "a share on each GPU": ({"vlm": engine(gpu_share=0.6, replicas=2)}, (2,)),
    "shares next to a whole GPU": ({"vlm": engine(gpu_share=0.4, replicas=2), "llm": engine()}, (2,)),
    "no GPU is needed": ({"vlm": engine(device="cpu"), "llm": engine(backend="scripted", script="x:y")}, (0,)),
}


@pytest.mark.parametrize(("pools", "gpus"), FITS.values(), ids=FITS)
def test_pools_that_fit_pass(pools: dict[str, Any], gpus: tuple[int, ...]) -> None:
    fit(needs_of(pools, cluster(*gpus)), cluster(*gpus))


ONE, WIDE = "1 engine, each 1 x GPU 1", "1 engine, each 4 x GPU 1 on one node"
LACKS = {
    "no GPUs": ({"vlm": engine()}, (0,), [f"pool 'vlm' needs {ONE}; there is room for 0"]),
    "GPUs on two nodes": ({"vlm": engine(4)}, (2, 2), [f"pool 'vlm' needs {WIDE}; there is room for 0"]),
    "too few": ({"vlm": engine(replicas=[3, 9])}, (1, 1),
                ["pool 'vlm' needs 3 engines, each 1 x GPU 1; there is room for 2"]),
    "two pools": ({"llm": engine(), "vlm": engine(4)}, (4,), [f"pool 'llm' needs {ONE}; there is room for 0"]),
    "all of them": ({"llm": engine(), "vlm": engine(4)}, (0, 0),
                    [f"pool 'vlm' needs {WIDE}; there is room for 0", f"pool 'llm' needs {ONE}; there is room for 0"]),
    "shares beyond one": ({"vlm": engine(gpu_share=0.55), "llm": engine(gpu_share=0.5)}, (1,),
                          ["pool 'llm' needs 1 engine, each 1 x GPU 0.5; there is room for 0"]),
    "the rest of two GPUs": ({"vlm": engine(gpu_share=0.6, replicas=3)}, (2,),
                              ["pool 'vlm' needs 3 engines, each 1 x GPU 0.6; there is room for 2"]),
    "a whole GPU next to shares": ({"vlm": engine(gpu_share=0.4, replicas=2), "llm": engine(replicas=2)}, (2,),
                                  ["pool 'vlm' needs 2 engines, each 1 x GPU 0.4; there is room for 0"]),
}  # fmt: skip


@pytest.mark.parametrize(("pools", "gpus", "lacking"), LACKS.values(), ids=LACKS)
def test_pools_that_do_not_fit_are_named_with_what_is_available(
    pools: dict[str, Any], gpus: tuple[int, ...], lacking: list[str]
) -> None:
    available = "; ".join(f"n{number}: CPU 8, GPU {count}" for number, count in enumerate(gpus))
    with pytest.raises(FitError) as error:
        fit(needs_of(pools, cluster(*gpus)), cluster(*gpus))
    assert str(error.value).splitlines() == [*lacking, f"available: {available}"]


def test_a_check_of_the_fit_does_not_change_the_nodes() -> None:
    have = cluster(8)
    fit(needs_of({"vlm": engine(8)}, have), have)
    assert have == cluster(8)
