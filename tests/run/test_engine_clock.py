"""The engine clock: seconds of running engines and of their GPUs, from one look to the next."""

from oasis_ray.job.pool import Pool
from oasis_ray.pool.replica_groups import ReplicaGroup
from oasis_ray.run.engine_clock import EngineClock


def pool(**keys: object) -> Pool:
    return Pool.model_validate({"model": "m", "backend": "simulated", "script": "a:b", **keys})


def states(running: int = 0, starting: int = 0) -> dict[str, int]:
    return {"starting": starting, "running": running, "stopping": 0}


def test_engines_that_run_at_a_look_count_since_the_look_before() -> None:
    pools = {"vlm": pool(tensor_parallel=2), "llm": pool(gpu_share=0.5), "cpu": pool()}
    clock = EngineClock(pools, {"vlm": True, "llm": True, "cpu": False}, 100.0)
    vlm, llm, cpu = (ReplicaGroup(name, config) for name, config in pools.items())
    assert clock.look([(vlm, states(starting=1)), (llm, states(running=2)), (cpu, states(running=1))], 110.0) == {
        "vlm": states(starting=1), "llm": states(running=2), "cpu": states(running=1),
    }  # fmt: skip
    assert clock.look([(vlm, states(running=1)), (llm, states(running=2)), (cpu, states(running=1))], 115.0) == {
        "vlm": states(running=1)
    }
    assert clock.measured() == {
        "engine_seconds": {"vlm": 5.0, "llm": 30.0, "cpu": 15.0},
        "gpu_seconds": {"vlm": 10.0, "llm": 15.0, "cpu": 0.0},
        "gpu_seconds_of_types": {},
    }


def test_the_groups_of_a_pool_are_added_up_and_told_apart_by_their_type_of_gpu() -> None:
    pools = {"vlm": pool()}
    clock = EngineClock(pools, {"vlm": True}, 0.0)
    groups = [
        ReplicaGroup("vlm", pool(gpu_type=name, device="gpu", tensor_parallel=size))
        for name, size in (("L4", 2), ("H100", 1))
    ]
    clock.look([(groups[0], states(running=1)), (groups[1], states(running=3))], 10.0)
    assert clock.engines == {"vlm": states(running=4)}
    assert clock.measured() == {
        "engine_seconds": {"vlm": 40.0},
        "gpu_seconds": {"vlm": 50.0},
        "gpu_seconds_of_types": {"vlm": {"L4": 20.0, "H100": 30.0}},
    }
