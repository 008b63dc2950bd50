"""A pool with several types of GPU: an application for each type, rows that stay with one, a cluster that has both."""

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


def test_a_pool_of_several_types_is_a_pool_for_each_with_what_the_type_changes() -> None:
    made = pool(gpu_types=TYPES, tensor_parallel=4, max_sequences=64)
    assert made.replicas == (3, 5)
    assert [
        (
            kind.pool,
            kind.config.gpu_type,
            kind.config.replicas,
            kind.config.tensor_parallel,
            kind.config.max_sequences,
            kind.config.gpu_types,
        )
        for kind in replica_groups({"vlm": made, "llm": pool(), "old": pool(gpu_type="V100")})
    ] == [
        ("vlm", "H100", (2, 2), 2, 64, {}),
        ("vlm", "A100", (1, 3), 4, 16, {}),
        ("llm", None, (1, 1), 1, 128, {}),
        ("old", "V100", (1, 1), 1, 128, {}),
    ]
    assert Pool(**made.model_dump(exclude_unset=True)) == made  # a job that is written down is read again


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
def test_types_that_contradict_the_pool_are_refused(keys: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as error:
        pool(**keys)
    assert problem in str(error.value)


def node(name: str, gpus: int, kind: str) -> Node:
    return Node(name, {"CPU": 8.0, "GPU": float(gpus), f"accelerator_type:{kind}": 1.0})


def test_each_type_needs_room_on_nodes_of_its_own() -> None:
    wanted = needs({"vlm": pool(gpu_types=TYPES)}, {"vlm": True})
    fit(wanted, [node("a", 4, "H100"), node("b", 1, "A100")])
    with pytest.raises(FitError) as error:
        fit(wanted, [node("a", 1, "H100"), node("b", 8, "A100")])
    assert str(error.value).splitlines() == [
        "pool 'vlm' needs 2 engines, each 2 x GPU 1 (H100) on one node; there is room for 0",
        "available: a: CPU 8, GPU 1 (H100); b: CPU 8, GPU 8 (A100)",
    ]


def test_a_row_stays_with_the_type_that_had_the_most_room_when_it_came() -> None:
    handle = PoolHandle("vlm", {"large": 30, "small": 10})
    came = []
    for row in "abcdefgh":  # none is answered
        came.append(handle._seat(row).app)
        handle._asked[came[-1]] += 1
    assert came == ["large", "small", "large", "large", "large", "small", "large", "large"]
    assert [handle._seat(row).app for row in "abcdefgh"] == came
