"""Execute a run for a command: progress display, signal handling, and the summary at the end."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from oasis_ray.cli.terminal import err, out
from oasis_ray.errors import FAILED_BEYOND_LIMIT, OasisError, counted

if TYPE_CHECKING:
    from oasis_ray.run.run import Run


def execute(running: "Run", again: str) -> dict[str, Any]:
    """Execute the run, print its funnel, rates and cost, and return its manifest.

    `again` is the command that resumes the run after a failure.
    """
    from oasis_ray.cli import tables
    from oasis_ray.cli.run_progress import Ticker
    from oasis_ray.cost.bill import Bill
    from oasis_ray.output.ledger import counts_of

    try:
        with Ticker(running, out) as progress, _stopped_by_signals(running) as listen:

            def step(text: str) -> None:
                listen()  # again: Ray installs its own signal handlers when it joins a cluster
                progress.step(text)

            manifest = running.execute(step)
    except (OasisError, KeyboardInterrupt) as error:
        _print_notes(running)
        if running.working_since is not None:
            err.print(f"rows that have ended are saved in {running.folder}; to continue: {again}", soft_wrap=True)
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(1) from None
        raise
    _print_notes(running)
    tally = counts_of(running.folder)
    out.print(tables.funnel(manifest, tally))
    out.print(tables.rates(manifest, tally))
    for text in tables.cost(Bill.model_validate(manifest["bill"])):
        out.print(text, soft_wrap=True)
    return manifest


def end(running: "Run", manifest: dict[str, Any]) -> None:
    """Print how many rows ended. Exits with 1 if the run is incomplete, with 3 if more rows failed than allowed."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in manifest["rows"].items())
    out.print(f"\n{sum(manifest['rows'].values())} of {running.rows} rows ended: {counts}", soft_wrap=True)
    out.print(f"next:  oasis-ray audit {running.folder}    oasis-ray status {running.folder}", soft_wrap=True)
    if manifest["state"] != "done":
        missing = running.rows - sum(manifest["rows"].values())
        err.print(
            f"the run is {manifest['state']}: {missing} rows of the input have not ended; run the job again to continue"
        )
        raise typer.Exit(1)
    limit, failed = running.job.failures_allowed(running.rows), manifest["rows"]["failed"]
    if failed > limit:
        err.print(f"{counted(failed, 'row')} failed; the job allows {limit:g} (max_failed: {running.job.max_failed})")
        raise typer.Exit(FAILED_BEYOND_LIMIT)


def _print_notes(running: "Run") -> None:
    for note in running.notes:
        out.print(note, soft_wrap=True)


@contextmanager
def _stopped_by_signals(running: "Run") -> Iterator[Callable[[], None]]:
    """The first SIGINT or SIGTERM drains the run, the second aborts it. Yields what installs the handlers."""

    def stop(number: int, _: object) -> None:
        if running.stopping.is_set() or running.step != "working":
            raise KeyboardInterrupt
        running.stop()
        err.print(f"{signal.Signals(number).name}: draining the rows in flight; a second signal aborts immediately")

    def listen() -> None:
        for number in before:
            signal.signal(number, stop)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield listen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def with_local(sets: list[str] | None, *, local: bool) -> list[str]:
    """The `--set` overrides of a command, including the one that `--local` stands for."""
    return [*(sets or []), *(["executor=local"] if local else [])]


def words_of(job_file: Path, sets: list[str] | None, *, local: bool) -> list[str]:
    """The arguments of a command that name the job and its overrides, to print them in a suggested command."""
    return [str(job_file), *(f"--set {text}" for text in sets or []), *(["--local"] if local else [])]
