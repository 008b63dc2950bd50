"""Send a job to a cluster, by Ray's own job submission: the checkout goes along, the output comes back."""

import asyncio
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oasis_ray.errors import JobError, RunError

# What a checkout holds that a job does not need; what git ignores is left out by Ray itself.
LEFT_OUT = (".git", ".venv", "runs", "/tests", "*.egg-info")
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
LOOK_S = 1.0


@dataclass(frozen=True)
class Submitted:
    """A job on a cluster."""

    client: Any
    id: str

    def state(self) -> str:
        """PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED. Raises RunError where the cluster knows no such job."""
        try:
            return str(self.client.get_job_status(self.id).value)
        except RuntimeError:
            raise RunError(f"the cluster knows no job {self.id}; `ray job list` shows those that it knows") from None

    def follow(self, show: Callable[[str], None]) -> int:
        """Show what the job prints until it ends; the exit code of its command."""

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
        """The last lines that the job has printed."""
        self.state()
        yield from self.client.get_job_logs(self.id).splitlines()[-lines:]

    def stop(self) -> None:
        """Tell the job to end: its rows in flight come to their ends, as with Ctrl-C."""
        self.client.stop_job(self.id)


def connect(address: str | None) -> Any:
    """A client of the cluster's dashboard. Raises RunError where nobody answers, or the token is not the cluster's."""
    from ray.exceptions import RayError
    from ray.job_submission import JobSubmissionClient

    try:
        return JobSubmissionClient(address)
    except (RayError, RuntimeError, ConnectionError, ValueError) as error:
        said = str(error).strip().splitlines()[0]
        raise RunError(
            f"no cluster answers at {address or 'RAY_API_SERVER_ADDRESS'}: {said}; say --address http://HEAD:8265, and "
            "RAY_AUTH_MODE=token with RAY_AUTH_TOKEN where the cluster asks for one"
        ) from None


def submit(job_file: Path, words: Sequence[str], address: str | None, folder: Path) -> Submitted:
    """Send `oasis-ray run JOB WORDS…` to a cluster, with `folder` as its working directory.

    Raises JobError where the job file is not below the folder: it would not be there.
    """
    inside = job_file.resolve()
    if not inside.is_relative_to(folder.resolve()):
        raise JobError([f"{job_file} is not below {folder}, which is what is sent along (--working-dir)"])
    client = connect(address)
    command = shlex.join(["python", "-m", "oasis_ray.cli", "run", str(inside.relative_to(folder.resolve())), *words])
    environment = {"working_dir": str(folder), "excludes": list(LEFT_OUT)}
    try:
        return Submitted(client, client.submit_job(entrypoint=command, runtime_env=environment))
    except RuntimeError as error:
        said = str(error).strip().splitlines()[0]
        raise RunError(
            f"the cluster did not take the job: {said} ({folder} may be larger than Ray sends, 500 MB)"
        ) from None
