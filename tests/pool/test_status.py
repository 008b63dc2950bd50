"""Causes: why a pool did not start or a run stopped, read from the messages of Ray Serve and Ray.

Ray's own classes format the messages here; no cluster is started.
"""

import traceback

import pytest
from ray.exceptions import RayTaskError, UserCodeException

from oasis_ray.errors import EngineLostError, RunError, first_cause
from oasis_ray.pool.status import cause_in

FAILED = (
    "The deployment failed to start 3 times in a row. This may be due to a problem with its constructor or initial "
    "health check failing. See controller logs for details. Error:\n"
)
RETRYING = "A replica failed to start with exception. Retrying 2 more time(s). Error:\n"
SLOW = (
    "Deployment 'vlm' in application '5f-vlm' has 1 replicas that have taken more than 30s to initialize.\n"
    "This may be caused by a slow __init__ or reconfigure method."
)
ALLOCATING = "Exception when allocating Replica(id='q3x', deployment='vlm', app='5f-vlm'):\n"


def task_error(error: Exception, name: str) -> RayTaskError:
    """An exception as Ray raises it at the caller of the task `name`."""
    try:
        raise error
    except Exception as raised:
        trace = traceback.format_exc()
        task = RayTaskError(name, trace, raised, proctitle=f"ray::{name}", pid=71, ip="10.0.0.1")
        return task.as_instanceof_cause()


def trace_of(error: Exception, cause: Exception | None = None) -> str:
    try:
        raise error from cause
    except Exception:
        return traceback.format_exc()


def replica(error: Exception, cause: Exception | None = None) -> str:
    """The error of a replica in Serve's message, after its constructor raised `error`: a trace within a trace."""
    name = "ServeReplica:5f-vlm:vlm.initialize_and_get_metadata"
    return str(task_error(RuntimeError(trace_of(error, cause)), name))


VALIDATION = (
    "1 validation error for ModelConfig\n  Value error, Invalid repository ID or local directory specified: 'm'\n"
    "Please verify the following requirements:\n1. Provide a valid Hugging Face repository ID."
)
EXPLAINED = (
    "1 validation error for ModelConfig Value error, Invalid repository ID or local directory specified: 'm' "
    "Please verify the following requirements:"
)
MEMORY = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.11 GiB"
CORE = "Engine core initialization failed. See root cause above. Failed core proc(s): {}"
MESSAGES = {
    "an error of ours": (
        FAILED + replica(RunError("pool 'vlm': http://h:8000/v1 does not answer")),
        "pool 'vlm': http://h:8000/v1 does not answer",
    ),
    "another error of ours": (
        FAILED + replica(EngineLostError("the engine ended")), "EngineLostError: the engine ended"
    ),
    "while Serve retries": (RETRYING + replica(RunError("no such model: m")), "no such model: m"),
    "an error of Python": (FAILED + replica(OSError("the cable is out")), "OSError: the cable is out"),
    "an error of a library": (FAILED + f"ray::\ntorch.OutOfMemoryError: {MEMORY}", f"torch.OutOfMemoryError: {MEMORY}"),
    "the last one of a chain": (
        FAILED + replica(RunError("script 'x:y' can't be imported"), ModuleNotFoundError("No module named 'x'")),
        "script 'x:y' can't be imported",
    ),
    "an explanation of several lines": (
        FAILED + replica(ValueError(VALIDATION)),
        f"ValueError: {EXPLAINED}",
    ),
    "an engine core": (
        FAILED + replica(RuntimeError(CORE)), f"RuntimeError: {CORE}",
    ),
    "no placement": (
        ALLOCATING + trace_of(ValueError("Placement group bundles cannot be empty")),
        "ValueError: Placement group bundles cannot be empty",
    ),
    "an error within a line": (RETRYING + "the log says: ValueError: no", ""),
    "a slow start": (SLOW, ""),
    "no message": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize(("message", "expected"), MESSAGES.values(), ids=MESSAGES)
def test_the_cause_of_a_pool_that_does_not_start_is_the_last_exception(message: str, expected: str) -> None:
    assert cause_in(message) == expected


def chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


LOST = EngineLostError("pool 'vlm' was lost")
CAUSES = {
    "a task's error of ours": (task_error(LOST, "MapWorker.submit"), "pool 'vlm' was lost"),
    "a task's error of Python": (task_error(OSError("the disk is full"), "Write"), "the disk is full"),
    "a UDF's error": (
        task_error(chained(UserCodeException("UDF failed"), ValueError("2 is not 3")), "MapBatches"), "2 is not 3",
    ),
    "an error of ours in the trace of another": (
        RuntimeError(trace_of(RuntimeError("stopped"), RunError("can't write to /run"))), "can't write to /run",
    ),
    "the first of two of ours": (
        RuntimeError(trace_of(RunError("then this"), RunError("first this"))), "first this",
    ),
    "a chain": (chained(RuntimeError("c"), chained(RuntimeError("b"), ValueError("a"))), "a"),
    "several lines": (ValueError("one\n\ntwo\n"), "two"),
    "an error that is its own cause": (RuntimeError("itself"), "itself"),
    "no text": (TimeoutError(), "TimeoutError"),
}  # fmt: skip


@pytest.mark.parametrize(("error", "expected"), CAUSES.values(), ids=CAUSES)
def test_the_first_cause_of_a_failure_is_one_line(error: Exception, expected: str) -> None:
    assert first_cause(error) == expected
