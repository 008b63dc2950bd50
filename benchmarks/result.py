"""Where a benchmark's figures go: one JSON file, with what is needed to make them again."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent / "results"


def write_result(name: str, figures: Mapping[str, object], command: str, seed: object, out: Path | None = None) -> Path:
    """Write `results/NAME-DATE.json`, or `out`: the figures, then machine, commit, command and seed."""
    out = out or FOLDER / f"{name}-{datetime.now(UTC):%Y-%m-%d}.json"
    document = dict(figures) | {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
        "command": command,
        "seed": seed,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=2) + "\n")
    Console().print(f"written to {os.path.relpath(out)}", highlight=False)
    return out


def show(console: Console, result: dict[str, Any]) -> None:
    """A line a figure: the median, and the least and the most of the rounds."""
    table = Table("workload", "figure", "median", "least", "most")

    def rows(name: str, value: Any, path: str) -> None:
        if isinstance(value, dict) and "median" in value:
            table.add_row(name, path, *(f"{value[key]:.3g}" for key in ("median", "least", "most")))
        elif isinstance(value, dict):
            for key, inner in value.items():
                rows(name, inner, f"{path} {key}".strip())
        else:
            table.add_row(name, path, f"{value:.3g}" if isinstance(value, float) else str(value), "", "")

    for name, told in result.items():
        rows(name, told, "")
    console.print(table)
