"""vLLM metrics: a callback at each step of the engine, and vLLM's metrics exported by Ray."""

import sys
from collections.abc import Callable
from copy import copy
from typing import Any


def loggers(beat: Callable[[], None]) -> list[Any]:
    """Return vLLM's stat loggers: the callback, and in a Ray process vLLM's metrics, which Ray exports."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return [_step_callback(beat)]
    return [_step_callback(beat), _metrics()]


def _step_callback(beat: Callable[[], None]) -> Any:
    """Return a stat logger that calls `beat` at every step of the engine."""
    from vllm.v1.metrics.loggers import StatLoggerBase

    class StepCallback(StatLoggerBase):  # type: ignore[misc]  # mypy runs without vLLM
        def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
            pass

        def record(self, *_: Any, **__: Any) -> None:
            beat()

        def log_engine_initialized(self) -> None:
            pass

    return StepCallback


def _metrics() -> Any:
    """Return the stat logger of vLLM's metrics for Ray, without inter-token latencies.

    These would be one observation per token, here and again in Ray's agent of the node. The mean of each request is
    among the metrics anyway.
    """
    from vllm.v1.metrics.ray_wrappers import RayPrometheusStatLogger

    class RayMetrics(RayPrometheusStatLogger):  # type: ignore[misc]  # mypy runs without vLLM
        def record(self, scheduler_stats: Any, iteration_stats: Any, **others: Any) -> None:
            if iteration_stats is not None:
                iteration_stats = copy(iteration_stats)
                iteration_stats.inter_token_latencies_iter = []
            super().record(scheduler_stats, iteration_stats, **others)

    return RayMetrics
