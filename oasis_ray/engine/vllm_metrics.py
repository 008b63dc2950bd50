"""What vLLM reports at each of its steps: a sign of life, and its metrics as Ray exports them."""

import sys
from collections.abc import Callable
from copy import copy
from typing import Any


def loggers(beat: Callable[[], None]) -> list[Any]:
    """What vLLM tells of its steps to: the pulse, and in a Ray process vLLM's own metrics, which Ray exports."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return [_pulse(beat)]
    return [_pulse(beat), _metrics()]


def _pulse(beat: Callable[[], None]) -> Any:
    """A logger of vLLM's that calls `beat` at every step of the core."""
    from vllm.v1.metrics.loggers import StatLoggerBase

    class Pulse(StatLoggerBase):  # type: ignore[misc]  # vLLM is not there where mypy runs
        def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
            pass

        def record(self, *_: Any, **__: Any) -> None:
            beat()

        def log_engine_initialized(self) -> None:
            pass

    return Pulse


def _metrics() -> Any:
    """The metrics of vLLM as Ray exports them, without the time from each token to the next.

    That would be an observation for each token, here and again in Ray's agent of the node. The mean of each request is
    among the metrics.
    """
    from vllm.v1.metrics.ray_wrappers import RayPrometheusStatLogger

    class RayMetrics(RayPrometheusStatLogger):  # type: ignore[misc]  # vLLM is not there where mypy runs
        def record(self, scheduler_stats: Any, iteration_stats: Any, **others: Any) -> None:
            if iteration_stats is not None:
                iteration_stats = copy(iteration_stats)
                iteration_stats.inter_token_latencies_iter = []
            super().record(scheduler_stats, iteration_stats, **others)

    return RayMetrics
