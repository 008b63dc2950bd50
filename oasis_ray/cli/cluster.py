"""The commands for clusters: send a job there, clear up what is left of old ones."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from oasis_ray.cli.app import JobFile, Sets, app
from oasis_ray.cli.terminal import err, out

Address = Annotated[
    str | None, typer.Option(help="The cluster's dashboard, http://HEAD:8265; left out: RAY_API_SERVER_ADDRESS.")
]


@app.command()
def submit(
    job_file: JobFile,
    address: Address = None,
    sets: Sets = None,
    working_dir: Annotated[Path, typer.Option(help="The folder that is sent along: the checkout.")] = Path(),
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show what the job prints until it ends.")] = True,
) -> None:
    """Send a job to a cluster and follow it. Ends with the exit code of `run`.

    Ctrl-C asks whether the job is to stop or to go on without you.
    """
    from oasis_ray.cluster.job_submission import submit as send

    words = [word for text in sets or [] for word in ("--set", text)]
    job = send(job_file, words, address, working_dir)
    where = f" --address {address}" if address else ""
    out.print(f"submitted as {job.id}; look again with: oasis-ray status {job.id}{where}", soft_wrap=True)
    while wait:
        try:
            raise typer.Exit(job.follow(lambda text: out.print(text, end="", soft_wrap=True)))
        except KeyboardInterrupt:
            if not sys.stdin.isatty():
                err.print(f"{job.id} goes on; stop it with: ray job stop {job.id}{where}", soft_wrap=True)
                raise typer.Exit(0) from None
        answer = typer.prompt("stop the job, leave it running, or go on following it? [stop/leave/follow]", "follow")
        if answer.startswith("s"):
            job.stop()
        elif answer.startswith("l"):
            return


@app.command()
def clean(
    address: Annotated[
        str | None, typer.Option(help="The cluster, HEAD:6379; left out: the one that this machine belongs to.")
    ] = None,
) -> None:
    """End engines on a cluster that no job holds any more. Nothing of a job that runs is touched, nor of others."""
    from oasis_ray.cluster.connection import attach
    from oasis_ray.pool.reaper import sweep

    attach(address)
    left, used = sweep()
    for app_name in left:
        out.print(f"ended {app_name}: its job is gone", soft_wrap=True)
    for app_name in used:
        out.print(f"left {app_name} alone: a job holds it", soft_wrap=True)
    if not left and not used:
        out.print("there are no engines of oasis-ray on this cluster")
