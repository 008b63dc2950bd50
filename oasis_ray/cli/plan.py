"""Commands that run before a job: `plan` and `recipes`."""

from typing import TYPE_CHECKING, Annotated

import typer

from oasis_ray.cli.app import SHIPPED, JobFile, Local, Sets, app
from oasis_ray.cli.execution import end, execute, with_local, words_of
from oasis_ray.cli.terminal import out
from oasis_ray.errors import FitError, JobError
from oasis_ray.job.load import load_job

if TYPE_CHECKING:
    from oasis_ray.job.job import Job
    from oasis_ray.recipe.recipe import Recipe


@app.command()
def plan(
    job_file: JobFile,
    sets: Sets = None,
    local: Local = False,
    probe: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Process N rows of the input in a separate run folder (output.path with the suffix `-probe`), and "
            "predict time, tokens and cost of the whole job.",
            metavar="N",
        ),
    ] = None,
) -> None:
    """Check a job without running it.

    Shows its graph, its input and its pools, and says whether the pools fit this cluster.
    """
    from oasis_ray.cli import tables
    from oasis_ray.cluster.capacity import fit
    from oasis_ray.input.listing import list_files
    from oasis_ray.pool.placement import needs, on_gpus
    from oasis_ray.run import phases
    from oasis_ray.run.resume import open_input, recorded
    from oasis_ray.run.run import executor_of

    words = words_of(job_file, sets, local=local)
    job, recipe = load_job(job_file, SHIPPED, with_local(sets, local=local))
    out.print(tables.graph(recipe))
    has_files = job.input.rows is not None or list_files(job.input.path).names or probe is not None
    shards = open_input(job, recipe, recorded(job.output.path)) if has_files else None
    if shards is not None and job.input.rows is not None:
        out.print(f"\ninput: {shards.rows} rows that read no input (input.rows)", soft_wrap=True)
    elif shards is not None:
        files = len(shards.listing.names)
        out.print(f"\ninput: {shards.rows} rows in {files} files at {job.input.path}", soft_wrap=True)
        if shards.listing.passed_over:
            out.print(f"passed over: {shards.listing}", soft_wrap=True)
    else:
        out.print(f"\ninput: there are no Parquet files yet at {job.input.path} (input.path)", soft_wrap=True)
    out.print(f"output: {job.output.path}", soft_wrap=True)
    if any(pool.backend == "openai" for pool in job.pools.values()):
        from oasis_ray.engine.openai_server import check_servers  # its client takes a second to import

        check_servers(job.pools)
    executor = executor_of(job)
    executor.join()
    have = executor.nodes()
    gpus = on_gpus(job.pools, have)
    pool_needs = needs(job.pools, gpus)
    for need in pool_needs:
        pool = job.pools[need.pool]
        most = f", growing to {need.most}" if need.most > need.engines else ""
        out.print(f"pool {need.pool}: {pool.model} ({pool.backend}): {need}{most}", soft_wrap=True)
    planned = phases.plan(job, recipe, gpus, have, grows=executor.grows())
    if len(planned) > 1:
        message = "the job is valid; not all of its pools fit this cluster at once, so it runs in phases:"
        out.print(message, soft_wrap=True)
        for phase in planned:
            out.print(f"{phase}: {' → '.join(phase.nodes)}", soft_wrap=True)
        if probe is not None:
            problem = (
                "--probe does not support jobs that run in phases. Use a cluster that can hold all pools at once, or "
                "reduce the pools (--set pools.…)"
            )
            raise JobError([problem])
        return
    try:
        fit(pool_needs, have)
    except FitError as error:
        out.print(f"{error}\nthe job is valid; the autoscaler of this cluster will be asked for more nodes")
    else:
        out.print(f"the job is valid and fits this {'machine' if job.executor == 'local' else 'cluster'}")
    if probe is None or shards is None:
        again = " ".join(["oasis-ray plan", *words, "--probe 200"])
        out.print(f"to predict time and cost: {again} (runs 200 rows)", soft_wrap=True)
    else:
        again = " ".join(["oasis-ray plan", *words, f"--probe {probe}"])
        _probe(job, recipe, probe, shards.rows, again)


def _probe(job: "Job", recipe: "Recipe", rows: int, total: int, again: str) -> None:
    """Run a probe of `rows` of the `total` rows, and print its forecast."""
    from oasis_ray.cli import forecast_tables
    from oasis_ray.cost import probe
    from oasis_ray.run.run import Run

    running = Run(probe.probe_of(job, rows), recipe)
    out.print(f"the probe: {min(rows, total)} of {total} rows, into {running.folder}", soft_wrap=True)
    manifest = execute(running, again)
    forecast = probe.forecast(job, recipe, total, running.prices)
    out.print(f"\n{forecast_tables.opening(forecast)}", soft_wrap=True)
    out.print(forecast_tables.nodes(forecast))
    if forecast.sizes:
        out.print(forecast_tables.sizes(forecast))
    for text in (*forecast_tables.numbers(forecast), *forecast_tables.remarks(forecast)):
        out.print(text, soft_wrap=True)
    end(running, manifest)
