"""What can go wrong, in three kinds, and what becomes of each.

    OasisError
    ├── JobError         the job is wrong: raised before anything starts, all problems at once     exit code 2
    ├── FitError         the job is right but this cluster can't hold it                           exit code 4
    ├── RowError         one row is bad: it ends in `failed` with this reason, the run goes on
    ├── PictureGoneError  an engine was given a picture by its digest alone and has forgotten it; it is given again
    └── RunError         the machinery failed: what is done is kept, the run can be taken up again  exit code 1
        ├── EngineLostError  the engine that worked on a request is gone; another is asked
        │   └── ServerFailedError  a server failed on a request; it is asked again
        └── StoppedError     somebody or something ended the run before its rows had                  exit code 1 or 3

A stage never raises these. It returns a `Divert`, which is data. What a stage or an engine raises is given its kind in
one place, `node.boundary`; what that does not recognise is taken for a failure of the machinery.
Every class keeps its arguments in `args`, so that it survives the way between processes.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

FAILED_BEYOND_LIMIT = 3  # the exit code where more rows failed than the job allows


class OasisError(Exception):
    """The root of this project's errors."""

    exit_code = 1


class JobError(OasisError):
    """The job file, its recipe, prompts or input are wrong. `problems` holds every one that was found."""

    exit_code = 2

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        return "\n".join([f"{head}:", *(f"  - {problem}" for problem in self.problems)])


class FitError(OasisError):
    """The pools of the job ask for more than this cluster has or may grow to."""

    exit_code = 4


class RunError(OasisError):
    """The machinery failed: an engine that does not come up, a full disk, a server that does not answer."""


class EngineLostError(RunError):
    """The engine that worked on a request has died or does not move any more."""


class ServerFailedError(EngineLostError):
    """A server failed on this request, and may do better the next time. There is no process of ours to end for it.

    healthy: whether the server answered a short request right after it failed, so the fault is this request's.
    """

    healthy = False


class StoppedError(RunError):
    """A run was ended before its rows had: asked to, beyond its limit of failed rows, or because nothing moved."""

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text, exit_code)
        self.text, self.exit_code = text, exit_code

    def __str__(self) -> str:
        return self.text


class ImageGoneError(OasisError):
    """An engine was given a picture by its digest alone, and does not have it, or not any more."""


class RowError(OasisError):
    """One row can't be worked on. `reason` is a fixed word such as `image_truncated`, `detail` says what was seen."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(reason, detail)

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def nearest(word: str, possible: Iterable[str]) -> str:
    """Say which of `possible` may have been meant: ' Did you mean "x"?', or nothing where none is near."""
    near = get_close_matches(word, list(possible), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def first_cause(error: BaseException) -> str:
    """What a failure began with, in a line: Ray hands it on as the text of a trace inside its own errors."""
    ours = re.findall(r"^oasis_ray\.errors\.\w+: (.+)$", str(error), re.MULTILINE)
    if ours:
        return str(ours[0])
    cause = getattr(error, "cause", None) or error.__cause__
    if cause is not None and cause is not error:
        return first_cause(cause)
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
