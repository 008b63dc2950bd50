"""Where a benchmark's figures go: one JSON file, with what is needed to make them again."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

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
