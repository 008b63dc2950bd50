"""How long a report of a run takes and how much memory, as the run grows: the memory should not.

    python -m benchmarks.report [--rows 10000 100000 1000000] [--out FILE]

Runs of texts alone (`benchmarks/synthetic.py`), each reported on by the command itself, on a cluster of its own.
Memory is the unique set size (what would be free if the process were gone), at its highest, looked at twice a second:
of the command, and of the largest worker.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.result import write_result
from benchmarks.synthetic import write_run

TOKENIZER = Path(__file__).parent / "models/llm"
EVERY_S = 0.5
MIB = 2**20


def measure(run: Path) -> dict[str, float]:
    """Seconds and mebibytes of one report. Raises CalledProcessError where it fails."""
    words = [sys.executable, "-m", "oasis_ray.cli", "report", str(run), "--tokenizer", str(TOKENIZER)]
    began = time.monotonic()
    with psutil.Popen(words, stdout=subprocess.DEVNULL, env=os.environ | {"RAY_DEDUP_LOGS": "0"}) as command:
        driver = worker = 0
        while command.poll() is None:
            time.sleep(EVERY_S)
            with suppress(psutil.Error):
                driver = max(driver, command.memory_full_info().uss)
                for child in command.children(recursive=True):
                    with suppress(psutil.Error, IndexError):
                        if child.cmdline()[0].startswith("ray::"):
                            worker = max(worker, child.memory_full_info().uss)
    if command.returncode:
        raise subprocess.CalledProcessError(command.returncode, words)
    return {
        "seconds": round(time.monotonic() - began, 1),
        "driver_mib": driver // MIB,
        "largest_worker_mib": worker // MIB,
        "page_mib": round((run / "report/index.html").stat().st_size / MIB, 1),
    }


def main() -> None:
    """Measure each size, print a table, and write the result."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    words.add_argument("--out", type=Path)
    given = words.parse_args()
    figures: dict[str, dict[str, float]] = {}
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            write_run(run, rows)
            figures[str(rows)] = measure(run)
    table = Table(title="A report, by rows of the run", title_justify="left")
    for column in ("rows", *next(iter(figures.values()))):
        table.add_column(column, justify="right")
    for size, found in figures.items():
        table.add_row(f"{int(size):,}", *(f"{value:,}" for value in found.values()))
    Console().print(table)
    write_result("report", {"by_rows": figures}, " ".join(["python -m benchmarks.report", *sys.argv[1:]]), 0, given.out)


if __name__ == "__main__":
    main()
