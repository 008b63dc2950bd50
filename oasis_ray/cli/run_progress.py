"""Progress display of a run: one line that is updated in place."""

import threading
import time

from rich.console import Console
from rich.live import Live
from rich.text import Text

from oasis_ray.cli.tables import clock
from oasis_ray.output.counts import Counts
from oasis_ray.run.run import Run

LINE_EVERY_S = 10.0


def progress_line(run: Run, tally: Counts) -> str:
    """Return the progress of a run in one line: rows by outcome, rates, time left."""
    phase = f"{run.phase}: " if run.phase else ""
    if run.working_since is None or not run.step.startswith("working"):
        return f"{phase}{run.step} … {time.monotonic() - run.since:.0f} s"
    seconds = max(time.monotonic() - run.working_since, 1e-6)
    done, rate = run.before + tally.rows, tally.rows / seconds
    left = f"{clock((run.rows - done) / rate)} left" if rate else "time left unknown"
    outcomes = "  ".join(f"{outcome} {tally.outcomes[outcome]}" for outcome in run.recipe.outcomes)
    waiting = f"{run.waiting} waiting  " if run.phase else ""
    pace = f"{rate:.1f} rows/s  {tally.reply_tokens / seconds:.0f} tokens/s  {left}"
    return f"{phase}{done}/{run.rows} rows  {waiting}{outcomes}  {pace}"


class Ticker:
    """Context manager that displays a run's progress: a live line on a terminal, plain lines elsewhere."""

    def __init__(self, run: Run, console: Console) -> None:
        self._run, self._console = run, console
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Ticker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def step(self, text: str) -> None:
        """Report that a new step has begun: printed as a line if there is no terminal."""
        if not self._console.is_terminal and text != "working":
            self._console.print(f"{self._run.phase}: {text} …" if self._run.phase else f"{text} …")

    def _watch(self) -> None:
        if not self._console.is_terminal:
            while not self._stop.wait(LINE_EVERY_S):
                if self._run.step == "working":
                    self._console.print(self._line(), soft_wrap=True)
            return
        with Live(console=self._console, transient=True, refresh_per_second=4) as live:
            while not self._stop.wait(0.5):
                live.update(Text(self._line()))

    def _line(self) -> str:
        tally = self._run.counts() if self._run.step == "working" else Counts()
        return progress_line(self._run, tally)
