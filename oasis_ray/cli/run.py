"""The command `run`."""

from typing import TYPE_CHECKING, Annotated

import typer

from oasis_ray.cli.app import SHIPPED, JobFile, Local, Sets, app
from oasis_ray.cli.terminal import out
from oasis_ray.errors import JobError
from oasis_ray.job.load import load_job

if TYPE_CHECKING:
    pass
from oasis_ray.cli.execution import end, execute, with_local, words_of


@app.command()
def run(
    job_file: JobFile,
    sets: Sets = None,
    local: Local = False,
    retry: Annotated[
        str | None,
        typer.Option(help="Try failed rows again: `failed`, or those of one reason: `failed:image_missing`."),
    ] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Go on in a run folder whose recipe, models or input were others.")
    ] = False,
) -> None:
    """Run a job. A run folder that holds a part of this run is taken up where it stands.

    Ctrl-C or SIGTERM lets the rows in flight end and stops; a second one breaks off at once.
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
    """The reason in `failed:reason`, "" for all reasons, None where nothing is to be tried again."""
    outcome, _, reason = (retry or "failed").partition(":")
    if outcome != "failed":
        raise JobError([f"--retry takes `failed` or `failed:REASON`, not {retry!r}"])
    return None if retry is None else reason
