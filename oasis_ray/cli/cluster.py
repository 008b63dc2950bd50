"""Commands for clusters: submit a job, and shut down engines that ended jobs have left behind."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from oasis_ray.cli.app import JobFile, Sets, app
from oasis_ray.cli.terminal import err, out

Address = Annotated[
    str | None,
    typer.Option(
        help="URL of the cluster's dashboard, http://HEAD:8265. Default: $RAY_API_SERVER_ADDRESS.", metavar="URL"
    ),
]


@app.command()
def submit(
    job_file: JobFile,
    address: Address = None,
    sets: Sets = None,
    working_dir: Annotated[
        Path, typer.Option(help="Folder to upload with the job, normally the checkout.", metavar="FOLDER")
    ] = Path(),
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--no-wait", help="Print the job's output until it ends, or return right after submitting."
        ),
    ] = True,
) -> None:
    """Submit a job to a Ray cluster and print its output.

    Exits with the exit code of `run`.

    Ctrl-C asks whether to stop the job, leave it running, or keep following it.
    """
    from oasis_ray.cluster.job_submission import submit as send

    words = [word for text in sets or [] for word in ("--set", text)]
    job = send(job_file, words, address, working_dir)
    where = f" --address {address}" if address else ""
    out.print(f"submitted as {job.id}; to see its output again: oasis-ray status {job.id}{where}", soft_wrap=True)
    while wait:
        try:
            raise typer.Exit(job.follow(lambda text: out.print(text, end="", soft_wrap=True)))
        except KeyboardInterrupt:
            if not sys.stdin.isatty():
                err.print(f"{job.id} keeps running; to stop it: ray job stop {job.id}{where}", soft_wrap=True)
                raise typer.Exit(0) from None
        answer = typer.prompt("stop the job, leave it running, or keep following it? [stop/leave/follow]", "follow")
        if answer.startswith("s"):
            job.stop()
        elif answer.startswith("l"):
            return


@app.command()
def clean(
    address: Annotated[
        str | None,
        typer.Option(
            help="Address of the cluster, HEAD:6379. Default: the cluster that this machine belongs to.",
            metavar="ADDRESS",
        ),
    ] = None,
) -> None:
    """Shut down engines whose job has ended.

    Engines of running jobs, and Ray Serve applications that are not oasis_ray's, are left alone.
    """
    from oasis_ray.cluster.connection import attach
    from oasis_ray.pool.reaper import sweep

    attach(address)
    ended, in_use = sweep()
    for app_name in ended:
        out.print(f"shut down {app_name}: its job has ended", soft_wrap=True)
    for app_name in in_use:
        out.print(f"kept {app_name}: a job is using it", soft_wrap=True)
    if not ended and not in_use:
        out.print("there are no oasis-ray engines on this cluster")
