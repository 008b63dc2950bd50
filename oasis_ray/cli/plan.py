"""The commands that look ahead: what a job would do, and the recipes that there are."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oasis_ray.cli.app import SHIPPED, JobFile, Local, Sets, app
from oasis_ray.cli.terminal import out
from oasis_ray.errors import FitError, JobError
from oasis_ray.job.load import load_job

if TYPE_CHECKING:
    from oasis_ray.job.job import Job
    from oasis_ray.recipe.recipe import Recipe
from oasis_ray.cli.execution import end, execute, with_local, words_of


@app.command()
def plan(
    job_file: JobFile,
    sets: Sets = None,
    local: Local = False,
    probe: Annotated[
        int | None,
        typer.Option(
            min=1, help="Run so many rows of the input, into OUTPUT-probe, and predict what the job will take."
        ),
    ] = None,
) -> None:
    """Check a job and show what it would do: the graph, the input, the pools, and whether they fit this cluster."""
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
    there = list_files(job.input.path).names or probe is not None
    shards = open_input(job, recorded(job.output.path)) if there else None
    if shards is not None:
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
    wanted = needs(job.pools, gpus)
    for need in wanted:
        pool = job.pools[need.pool]
        most = f", growing to {need.most}" if need.most > need.engines else ""
        out.print(f"pool {need.pool}: {pool.model} ({pool.backend}): {need}{most}", soft_wrap=True)
    planned = phases.plan(job, recipe, gpus, have, grows=executor.grows())
    if len(planned) > 1:
        told = "the job is right; not all of its pools fit this cluster at once, so it runs in phases:"
        out.print(told, soft_wrap=True)
        for phase in planned:
            out.print(f"{phase}: {' → '.join(phase.nodes)}", soft_wrap=True)
        if probe is not None:
            problem = (
                "--probe: this job runs in phases here, and a probe can't tell how long engines take that load in "
                "turn; probe it on a cluster that holds all pools at once, or with smaller pools (--set pools.…)"
            )
            raise JobError([problem])
        return
    try:
        fit(wanted, have)
    except FitError as error:
        out.print(f"{error}\nthe job is right; this cluster has an autoscaler, which is asked for more nodes")
    else:
        out.print(f"the job is right and fits this {'machine' if job.executor == 'local' else 'cluster'}")
    if probe is None or shards is None:
        again = " ".join(["oasis-ray plan", *words, "--probe 200"])
        out.print(f"what it would take: {again} (runs 200 rows to know)", soft_wrap=True)
    else:
        again = " ".join(["oasis-ray plan", *words, f"--probe {probe}"])
        _probe(job, recipe, probe, shards.rows, again)


def _probe(job: "Job", recipe: "Recipe", rows: int, total: int, again: str) -> None:
    """Run a probe of so many of the `total` rows, and show what it predicts."""
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
    for text in forecast_tables.remarks(forecast):
        out.print(text, soft_wrap=True)
    end(running, manifest)


@app.command()
def recipes() -> None:
    """List the recipes that ship, and their nodes."""
    from oasis_ray.validation import read_yaml

    for path in sorted(SHIPPED.recipes.glob("*.yaml")):
        nodes: list[dict[str, Any]] = read_yaml(path)["nodes"]
        out.print(
            f"{path.stem}: {' → '.join(node['name'] for node in nodes if node.get('enabled', True))}", soft_wrap=True
        )
