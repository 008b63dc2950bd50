"""Job submission: sends a job to a cluster by Ray's job submission, with the checkout as its working directory."""

import asyncio
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oasis_ray.errors import JobError, RunError

# Parts of a checkout that a job does not need; Ray itself excludes what git ignores.
LEFT_OUT = (".git", ".venv", "runs", "/tests", "*.egg-info")
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
LOOK_S = 1.0


@dataclass(frozen=True)
class Submitted:
    """A job that was submitted to a cluster."""

    client: Any
    id: str

    def state(self) -> str:
        """Return PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED. Raises RunError if the cluster has no such job."""
        try:
            return str(self.client.get_job_status(self.id).value)
        except RuntimeError:
            raise RunError(f"the cluster has no job {self.id}; `ray job list` lists its jobs") from None

    def follow(self, show: Callable[[str], None]) -> int:
        """Pass the job's output to `show` until the job ends. Return the exit code of its command."""

        async def tail() -> None:
            async for text in self.client.tail_job_logs(self.id):
                show(text)

        asyncio.run(tail())
        while self.state() not in ENDED:
            time.sleep(LOOK_S)
        info = self.client.get_job_info(self.id)
        if info.driver_exit_code is None:
            raise RunError(f"job {self.id} ended {info.status.value.lower()}: {info.message}")
        return int(info.driver_exit_code)

    def last(self, lines: int) -> Iterator[str]:
        """Yield the last lines of the job's output."""
        self.state()
        yield from self.client.get_job_logs(self.id).splitlines()[-lines:]

    def stop(self) -> None:
        """Stop the job: it drains its in-flight rows first, as with Ctrl-C."""
        self.client.stop_job(self.id)


def connect(address: str | None) -> Any:
    """Return a client of the cluster's dashboard. Raises RunError if it does not answer or rejects the token."""
    from ray.exceptions import RayError
    from ray.job_submission import JobSubmissionClient

    try:
        return JobSubmissionClient(address)
    except (RayError, RuntimeError, ConnectionError, ValueError) as error:
        message = str(error).strip().splitlines()[0]
        raise RunError(
            f"no cluster answers at {address or 'RAY_API_SERVER_ADDRESS'}: {message}; pass --address http://HEAD:8265, "
            "and set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN if the cluster requires a token"
        ) from None


def submit(job_file: Path, words: Sequence[str], address: str | None, folder: Path) -> Submitted:
    """Submit `oasis-ray run JOB WORDS…` to a cluster, with `folder` as its working directory.

    Raises JobError if the job file is outside `folder`, because only `folder` is uploaded.
    """
    inside = job_file.resolve()
    if not inside.is_relative_to(folder.resolve()):
        raise JobError([f"{job_file} is not in {folder}, the folder that is uploaded (--working-dir)"])
    client = connect(address)
    command = shlex.join(["python", "-m", "oasis_ray.cli", "run", str(inside.relative_to(folder.resolve())), *words])
    environment = {"working_dir": str(folder), "excludes": list(LEFT_OUT)}
    try:
        return Submitted(client, client.submit_job(entrypoint=command, runtime_env=environment))
    except RuntimeError as error:
        message = str(error).strip().splitlines()[0]
        raise RunError(
            f"the cluster rejected the job: {message} ({folder} may exceed Ray's limit for uploads, 500 MB)"
        ) from None
