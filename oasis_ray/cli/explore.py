"""Commands that inspect a run: `audit`, `status`, `report` and `browse`."""

import os
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer

from oasis_ray.cli.app import RunFolder, app
from oasis_ray.cli.terminal import VISIBLE, err, out
from oasis_ray.errors import counted


@app.command()
def audit(run_folder: RunFolder) -> None:
    """Verify that no row is lost or duplicated.

    Checks, using only the run's files, that every input row has exactly one outcome. For nodes with for_each, also
    checks that no element of a list is lost. Exits with 1 if a check fails.
    """
    from oasis_ray.output.audit import audit as check
    from oasis_ray.output.element_sums import sentence

    result = check(run_folder)
    counts = " + ".join(f"{count} {outcome}" for outcome, count in result.outcomes.items())
    sign = "=" if sum(result.outcomes.values()) == result.rows else "≠"
    out.print(f"{result.rows} input rows {sign} {counts}   ({counted(result.parts, 'part')} read)", soft_wrap=True)
    for node, sums in result.elements.items():
        out.print(f"{node}: {sentence(sums)}", soft_wrap=True)
    for note in result.notes:
        out.print(f"note: {note}", soft_wrap=True)
    for fault in result.faults:
        err.print(f"fault: {fault}", soft_wrap=True)
    if result.faults:
        raise typer.Exit(1)
    out.print("every row ended exactly once")


@app.command()
def status(
    run_folder: Annotated[str, typer.Argument(help="Run folder, or id of a submitted job.", metavar="RUN|ID")],
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep printing until the run ends. Ctrl-C stops printing, not the run.")
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(
            help="URL of the cluster's dashboard (for a submitted job). Default: $RAY_API_SERVER_ADDRESS.",
            metavar="URL",
        ),
    ] = None,
    trace: Annotated[
        str | None,
        typer.Option(
            help="Write a trace of the requests to this file (.json or .json.gz), for ui.perfetto.dev.", metavar="FILE"
        ),
    ] = None,
    rows: Annotated[
        int, typer.Option(min=1, help="Number of rows in the trace (--trace), from the middle of the run.", metavar="N")
    ] = 2000,
) -> None:
    """Show the progress of a run, read from its folder, or the state of a submitted job.

    Of a run: exits with 1 if the driver seems to be dead. Of a submitted job (raysubmit_…): also shows the last lines
    of its output.
    """
    if run_folder.startswith("raysubmit_"):
        _submitted(run_folder, address, watch=watch)
        return
    from oasis_ray.cli import forecast_tables, tables
    from oasis_ray.cost.bill import Bill
    from oasis_ray.cost.forecast import Forecast
    from oasis_ray.output.ledger import counts_of
    from oasis_ray.output.manifest import read_manifest
    from oasis_ray.output.outcomes import outcomes_of
    from oasis_ray.run.progress import read_progress

    try:
        if watch:
            _watch(run_folder)
    except KeyboardInterrupt:
        return
    manifest, progress, tally = read_manifest(run_folder), read_progress(run_folder), counts_of(run_folder)
    out.print(f"{run_folder}: recipe {manifest['recipe']}, {manifest['state']}", soft_wrap=True)
    counts = ", ".join(f"{tally.outcomes[outcome]} {outcome}" for outcome in outcomes_of(manifest))
    out.print(f"{tally.rows} of {manifest['input']['rows']} rows are in part files: {counts}", soft_wrap=True)
    out.print(tables.funnel(manifest, tally))
    if trace is not None:
        _trace(run_folder, trace, rows)
    if manifest["state"] != "running":
        for text in tables.cost(Bill.model_validate(manifest.get("bill", {}))):
            out.print(text, soft_wrap=True)
        if "forecast" in manifest and (forecast := Forecast.model_validate(manifest["forecast"])).graded:
            out.print(forecast_tables.verdict(forecast), soft_wrap=True)
    elif progress is not None:
        out.print(tables.session(progress), soft_wrap=True)
        if progress.silent:
            raise typer.Exit(1)


def _trace(run_folder: str, path: str, rows: int) -> None:
    from oasis_ray.cli import tables
    from oasis_ray.explore.trace import waited, write_trace

    out.print(tables.waited(waited(run_folder)))
    count = write_trace(run_folder, path, rows)
    out.print(f"wrote a trace of {counted(count, 'row')} to {path}: open it at ui.perfetto.dev", soft_wrap=True)


def _submitted(name: str, address: str | None, *, watch: bool) -> None:
    from oasis_ray.cluster.job_submission import Submitted, connect

    job = Submitted(connect(address), name)
    if watch:
        with suppress(KeyboardInterrupt):
            job.follow(lambda text: out.print(text, end="", soft_wrap=True))
    else:
        for line in job.last(20):
            out.print(line, soft_wrap=True)
    out.print(f"{name}: {job.state().lower()}", soft_wrap=True)


def _watch(run_folder: str) -> None:
    """Print progress until the run ends or its driver stops reporting; a terminal is updated in place."""
    from rich.live import Live
    from rich.text import Text

    from oasis_ray.cli import tables
    from oasis_ray.cli.run_progress import LINE_EVERY_S
    from oasis_ray.output.manifest import read_manifest
    from oasis_ray.run.progress import read_progress

    with Live(console=out, transient=True, auto_refresh=False) if out.is_terminal else nullcontext() as live:
        while read_manifest(run_folder)["state"] == "running" and (progress := read_progress(run_folder)) is not None:
            if progress.silent:
                return
            if live is None:
                out.print(f"{tables.session(progress)}\n", soft_wrap=True)
            else:
                live.update(Text(tables.session(progress).translate(VISIBLE)), refresh=True)
            time.sleep(LINE_EVERY_S if live is None else 2)


@app.command()
def report(
    subjects: Annotated[
        list[str],
        typer.Argument(
            help="Run folder or data set (Parquet or LLaVA-format JSON). Several are compared, as with --compare.",
            metavar="RUN|DATA",
        ),
    ],
    compare: Annotated[
        list[str] | None,
        typer.Option(help="Another run or data set to compare with. Repeatable.", metavar="RUN|DATA"),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--out", help="Folder for the report. Default: RUN/report.", metavar="FOLDER")
    ] = None,
    benchmark: Annotated[
        list[Path] | None,
        typer.Option(
            help="File of benchmark texts (.txt, .json, .jsonl, .parquet) to check for overlap. Repeatable.",
            metavar="FILE",
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(min=1, help="Number of texts to sample for the language and verb statistics.", metavar="N"),
    ] = 20_000,
    tokenizer: Annotated[
        str | None,
        typer.Option(help="Model whose tokenizer counts the tokens. Default: the model of the run.", metavar="MODEL"),
    ] = None,
) -> None:
    """Write a statistics report of one or more runs or data sets.

    It consists of index.html, which opens offline, and statistics.json.
    """
    from oasis_ray.report.build import make

    paths = [*subjects, *(compare or [])]
    folder, statistics = make(paths, to, benchmarks=benchmark or [], sample=sample, tokenizer=tokenizer)
    for subject in statistics.subjects:
        counts = ", ".join(f"{rows} {outcome}" for outcome, rows in subject.outcomes.items() if rows)
        out.print(f"{subject.name}: {counted(subject.rows, 'row')}: {counts}", soft_wrap=True)
        for note in subject.notes:
            out.print(f"note: {note}", soft_wrap=True)
    out.print(
        f"written to {folder}: open index.html in a browser; statistics.json contains the numbers", soft_wrap=True
    )


def _login() -> str:
    """Return the login name, or the user id if this machine does not know the user."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user-{os.getuid()}"


@app.command()
def browse(
    run_folder: RunFolder,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.", metavar="PORT")
    ] = 0,
    who: Annotated[
        str | None, typer.Option(help="Name to save marks under. Default: the login name.", metavar="NAME")
    ] = None,
) -> None:
    """Open a run in the browser, to inspect and mark its rows.

    Rows can be filtered, searched, and marked as good or bad. Ctrl-C stops the server.
    """
    from oasis_ray.explore.server import serve

    def announce(address: str) -> None:
        out.print(f"open {address}", soft_wrap=True)
        out.print(
            "anyone on this machine who has this address can open the run; Ctrl-C stops the server", soft_wrap=True
        )

    serve(run_folder, who or _login(), port, announce)
