"""Replica groups: a pool with several types of GPU has one application per type, and a row stays with one of them."""

from typing import Any

import pytest
from pydantic import ValidationError

from oasis_ray.cluster.capacity import fit
from oasis_ray.cluster.nodes import Node
from oasis_ray.errors import FitError
from oasis_ray.job.pool import Pool
from oasis_ray.pool.handle import PoolHandle
from oasis_ray.pool.placement import needs
from oasis_ray.pool.replica_groups import replica_groups

TYPES = {"H100": {"replicas": 2, "tensor_parallel": 2}, "A100": {"replicas": [1, 3], "max_sequences": 16}}


def pool(**keys: Any) -> Pool:
    return Pool(model="some/model", **keys)


def test_a_pool_of_several_types_is_one_pool_per_type_with_its_settings() -> None:
    several = pool(gpu_types=TYPES, tensor_parallel=4, max_sequences=64)
    assert several.replicas == (3, 5)
    assert [
        (
            group.pool,
            group.config.gpu_type,
            group.config.replicas,
            group.config.tensor_parallel,
            group.config.max_sequences,
            group.config.gpu_types,
        )
        for group in replica_groups({"vlm": several, "llm": pool(), "old": pool(gpu_type="V100")})
    ] == [
        ("vlm", "H100", (2, 2), 2, 64, {}),
        ("vlm", "A100", (1, 3), 4, 16, {}),
        ("llm", None, (1, 1), 1, 128, {}),
        ("old", "V100", (1, 1), 1, 128, {}),
    ]
    assert Pool(**several.model_dump(exclude_unset=True)) == several  # as a manifest stores it


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"gpu_types": TYPES, "replicas": 2}, "set `replicas` for each of `gpu_types`, not for the pool"),
        ({"gpu_types": TYPES, "device": "auto"}, "`gpu_types` and `gpu_type` are for engines on GPUs: `device: gpu`"),
        ({"gpu_type": "H100", "backend": "openai", "url": "http://x/v1"}, "are for engines on GPUs"),
        ({"gpu_types": TYPES, "gpu_type": "H100"}, "`gpu_type` is for a pool with one type; remove it, or `gpu_types`"),
        ({"gpu_types": {"H100": {"replicas": 0}}}, "maximum >= 1, not [0, 0]"),
    ],
)
def test_types_that_contradict_the_pool_are_rejected(keys: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as error:
        pool(**keys)
    assert problem in str(error.value)


def node(name: str, gpus: int, kind: str) -> Node:
    return Node(name, {"CPU": 8.0, "GPU": float(gpus), f"accelerator_type:{kind}": 1.0})


def test_each_type_needs_nodes_with_its_gpus() -> None:
    groups = needs({"vlm": pool(gpu_types=TYPES)}, {"vlm": True})
    fit(groups, [node("a", 4, "H100"), node("b", 1, "A100")])
    with pytest.raises(FitError) as error:
        fit(groups, [node("a", 1, "H100"), node("b", 8, "A100")])
    assert str(error.value).splitlines() == [
        "pool 'vlm' needs 2 engines, each 2 x GPU 1 (H100) on one node; there is room for 0",
        "available: a: CPU 8, GPU 1 (H100); b: CPU 8, GPU 8 (A100)",
    ]


def test_a_row_stays_with_the_group_that_had_the_lowest_load_at_its_first_call() -> None:
    handle = PoolHandle("vlm", {"large": 30, "small": 10})
    groups = []
    for row in "abcdefgh":  # no call is answered
        groups.append(handle._affinity(row).app)
        handle._asked[groups[-1]] += 1
    assert groups == ["large", "small", "large", "large", "large", "small", "large", "large"]
    assert [handle._affinity(row).app for row in "abcdefgh"] == groups
