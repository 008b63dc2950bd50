"""The command `run`: executes a job, or resumes it."""

from typing import Annotated

import typer

from oasis_ray.cli.app import SHIPPED, JobFile, Local, Sets, app
from oasis_ray.cli.execution import end, execute, with_local, words_of
from oasis_ray.cli.terminal import out
from oasis_ray.errors import JobError
from oasis_ray.job.load import load_job


@app.command()
def run(
    job_file: JobFile,
    sets: Sets = None,
    local: Local = False,
    retry: Annotated[
        str | None,
        typer.Option(
            help="Retry failed rows: `failed` for all, `failed:REASON` for one reason, e.g. `failed:image_missing`.",
            metavar="failed[:REASON]",
        ),
    ] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Resume even if recipe, models or input have changed.")
    ] = False,
) -> None:
    """Run a job. If its output folder holds an unfinished run, resume that run.

    Ctrl-C or SIGTERM finishes the rows in flight and then stops the run; a second signal aborts it immediately.
    """
    from oasis_ray.cli import forecast_tables
    from oasis_ray.cost.forecast import Forecast
    from oasis_ray.run.run import Run

    words = words_of(job_file, sets, local=local)
    job, recipe = load_job(job_file, SHIPPED, with_local(sets, local=local))
    running = Run(job, recipe, _reason(retry), accept_changes)
    manifest = execute(running, " ".join(["oasis-ray run", *words]))
    if "forecast" in manifest:
        forecast = Forecast.model_validate(manifest["forecast"])
        out.print(forecast_tables.grades(forecast))
        out.print(forecast_tables.verdict(forecast), soft_wrap=True)
    end(running, manifest)


def _reason(retry: str | None) -> str | None:
    """Return the reason of `failed:REASON`, "" for all reasons, None if nothing is to be retried. Raises JobError."""
    outcome, _, reason = (retry or "failed").partition(":")
    if outcome != "failed":
        raise JobError([f"--retry takes `failed` or `failed:REASON`, not {retry!r}"])
    return None if retry is None else reason
