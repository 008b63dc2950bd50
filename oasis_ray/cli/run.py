"""The commands that make data: run a job, or say beforehand what it would do."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oasis_ray.cli.app import SHIPPED, JobFile, Local, Sets, app
from oasis_ray.errors import FAILED_BEYOND_LIMIT, FitError, JobError, OasisError
from oasis_ray.load import load_job
from oasis_ray.terminal import err, out

if TYPE_CHECKING:
    from oasis_ray.job import Job
    from oasis_ray.recipe import Recipe
    from oasis_ray.run import Run


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
    from oasis_ray import show_forecast
    from oasis_ray.forecast import Forecast
    from oasis_ray.run import Run

    words = _words(job_file, sets, local=local)
    job, recipe = load_job(job_file, SHIPPED, _with(sets, local=local))
    running = Run(job, recipe, _reason(retry), accept_changes)
    manifest = _execute(running, " ".join(["oasis-ray run", *words]))
    if "forecast" in manifest:
        forecast = Forecast.model_validate(manifest["forecast"])
        out.print(show_forecast.grades(forecast))
        out.print(show_forecast.verdict(forecast), soft_wrap=True)
    _end(running, manifest)


def _execute(running: "Run", again: str) -> dict[str, Any]:
    """Run to the end, and show what came of it: its manifest. `again` is the command that goes on after a failure."""
    from oasis_ray import show
    from oasis_ray.bill import Bill
    from oasis_ray.ledger import tally_of

    try:
        with show.Ticker(running, out) as progress, _stopped_by_signals(running) as listen:

            def step(text: str) -> None:
                listen()  # once more: Ray sets handlers of its own when a cluster is joined
                progress.step(text)

            manifest = running.execute(step)
    except (OasisError, KeyboardInterrupt) as error:
        _tell_notes(running)
        if running.travelling is not None:
            err.print(f"rows that have ended are kept in {running.folder}; to continue: {again}", soft_wrap=True)
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(1) from None
        raise
    _tell_notes(running)
    tally = tally_of(running.folder)
    out.print(show.funnel(manifest, tally))
    out.print(show.rates(manifest, tally))
    for text in show.cost(Bill.model_validate(manifest["bill"])):
        out.print(text, soft_wrap=True)
    return manifest


def _end(running: "Run", manifest: dict[str, Any]) -> None:
    """Say how many rows ended, and exit with 3 where more failed than the job allows."""
    counts = ", ".join(f"{count} {fate}" for fate, count in manifest["rows"].items())
    out.print(f"\n{sum(manifest['rows'].values())} of {running.rows} rows ended: {counts}", soft_wrap=True)
    out.print(f"look further:  oasis-ray audit {running.folder}    oasis-ray status {running.folder}", soft_wrap=True)
    if manifest["state"] != "done":
        missing = running.rows - sum(manifest["rows"].values())
        err.print(f"the run is {manifest['state']}: {missing} rows of the input have not ended; run it again")
        raise typer.Exit(1)
    limit, failed = running.job.failures_allowed(running.rows), manifest["rows"]["failed"]
    if failed > limit:
        err.print(f"{failed} rows failed; the job allows {limit:g} (max_failed: {running.job.max_failed})")
        raise typer.Exit(FAILED_BEYOND_LIMIT)


def _tell_notes(running: "Run") -> None:
    for note in running.notes:
        out.print(note, soft_wrap=True)


def _reason(retry: str | None) -> str | None:
    """The reason in `failed:reason`, "" for all reasons, None where nothing is to be tried again."""
    fate, _, reason = (retry or "failed").partition(":")
    if fate != "failed":
        raise JobError([f"--retry takes `failed` or `failed:REASON`, not {retry!r}"])
    return None if retry is None else reason


@contextmanager
def _stopped_by_signals(running: "Run") -> Iterator[Callable[[], None]]:
    """The first SIGINT or SIGTERM drains the run, the second one interrupts it. Yields what sets the handlers."""

    def stop(number: int, _: object) -> None:
        if running.stopping.is_set() or running.step != "working":
            raise KeyboardInterrupt
        running.stop()
        err.print(f"{signal.Signals(number).name}: the rows in flight come to their ends; once more breaks off at once")

    def listen() -> None:
        for number in before:
            signal.signal(number, stop)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield listen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _with(sets: list[str] | None, *, local: bool) -> list[str]:
    return [*(sets or []), *(["executor=local"] if local else [])]


def _words(job_file: Path, sets: list[str] | None, *, local: bool) -> list[str]:
    return [str(job_file), *(f"--set {text}" for text in sets or []), *(["--local"] if local else [])]


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
    from oasis_ray import phases, show
    from oasis_ray.capacity import fit, needs, on_gpus
    from oasis_ray.listing import list_files
    from oasis_ray.resume import open_input, recorded
    from oasis_ray.run import executor_of

    words = _words(job_file, sets, local=local)
    job, recipe = load_job(job_file, SHIPPED, _with(sets, local=local))
    out.print(show.graph(recipe))
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
        from oasis_ray.engine.server import check_servers  # its client takes a second to import

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
    from oasis_ray import probe, show_forecast
    from oasis_ray.run import Run

    running = Run(probe.probe_of(job, rows), recipe)
    out.print(f"the probe: {min(rows, total)} of {total} rows, into {running.folder}", soft_wrap=True)
    manifest = _execute(running, again)
    forecast = probe.forecast(job, recipe, total, running.prices)
    out.print(f"\n{show_forecast.opening(forecast)}", soft_wrap=True)
    out.print(show_forecast.nodes(forecast))
    if forecast.sizes:
        out.print(show_forecast.sizes(forecast))
    for text in show_forecast.remarks(forecast):
        out.print(text, soft_wrap=True)
    _end(running, manifest)


@app.command()
def recipes() -> None:
    """List the recipes that ship, and their nodes."""
    from oasis_ray.load import read_yaml

    for path in sorted(SHIPPED.recipes.glob("*.yaml")):
        nodes: list[dict[str, Any]] = read_yaml(path)["nodes"]
        out.print(
            f"{path.stem}: {' → '.join(node['name'] for node in nodes if node.get('enabled', True))}", soft_wrap=True
        )
