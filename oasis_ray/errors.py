"""Exceptions: the three kinds of failure, and what happens on each.

    OasisError
    ├── JobError         the job is wrong: raised before anything starts, with all problems        exit code 2
    ├── FitError         the job is valid but does not fit this cluster                            exit code 4
    ├── RowError         one row is bad: it ends in `failed` with this reason, the run continues
    ├── ImageGoneError   an engine got only an image's digest and no longer has the image; it is sent again
    └── RunError         infrastructure failure: finished rows are kept, the run can be resumed    exit code 1
        ├── EngineLostError  the engine that worked on a request died; another engine gets the request
        │   └── ServerFailedError  a server failed on a request; the request is retried
        └── StoppedError     the run was stopped before all rows had ended                         exit code 1 or 3

A stage never raises these. It returns a `Divert`, which is data. `pipeline.node.boundary` is the one place that
classifies what a stage or an engine raises; what it does not recognise is an infrastructure failure.
Every class keeps its arguments in `args`, so that it can be pickled and sent between processes.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

FAILED_BEYOND_LIMIT = 3  # exit code: more rows failed than the job allows


class OasisError(Exception):
    """Base class of all errors of this project."""

    exit_code = 1


class JobError(OasisError):
    """The job file, its recipe, prompts or input are wrong. `problems` lists every problem that was found."""

    exit_code = 2

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(
            [f"{counted(len(self.problems), 'problem')}:", *(f"  - {problem}" for problem in self.problems)]
        )


class FitError(OasisError):
    """The pools of the job need more than this cluster has or can scale to."""

    exit_code = 4


class RunError(OasisError):
    """Infrastructure failure: an engine that does not start, a full disk, a server that does not answer."""


class EngineLostError(RunError):
    """The engine that worked on a request has died or hangs."""


class ServerFailedError(EngineLostError):
    """A server failed on this request; a retry may succeed. There is no process of this project to restart.

    healthy: the server answered a short request right after the failure, so this request is the likely cause.
    """

    healthy = False


class StoppedError(RunError):
    """A run was stopped before all rows had ended: on request, by its limit of failed rows, or for lack of progress."""

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text, exit_code)
        self.text, self.exit_code = text, exit_code

    def __str__(self) -> str:
        return self.text


class ImageGoneError(OasisError):
    """An engine got only the digest of an image, and does not have the image (any more)."""


class RowError(OasisError):
    """One row can't be processed. `reason` is a fixed word such as `image_truncated`, `detail` describes the case."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(reason, detail)

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun in the right number: "1 row", "2 rows"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def nearest(word: str, possible: Iterable[str]) -> str:
    """Return a hint (' Did you mean "x"?') with the closest match in `possible`, or "" if nothing is close."""
    near = get_close_matches(word, list(possible), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def first_cause(error: BaseException) -> str:
    """Return the root cause of a failure in one line. Ray wraps it, as the text of a traceback, in its own errors."""
    ours = re.findall(r"^oasis_ray\.errors\.\w+: (.+)$", str(error), re.MULTILINE)
    if ours:
        return str(ours[0])
    cause = getattr(error, "cause", None) or error.__cause__
    if cause is not None and cause is not error:
        return first_cause(cause)
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
