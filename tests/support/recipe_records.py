"""Shows on each recipe's page an accepted record of its scripted run: `make docs`. A test compares page and run.

A record stands between the marks `<!-- record: NAME -->` and `<!-- end -->`.
"""

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.checkout import ROOT
from tests.support.jobs import execute, rows_of, write_kinds
from tests.support.recipe_jobs import write_recipe_job
from tests.support.recipe_rows import ACCEPTED, ENDS

PAGES = sorted((ROOT / "docs/recipes").glob("*.md"))
MARK = re.compile(r"(<!-- record: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
SHOWN = ("id", "conversations", "data_source", "instruction", "response", "scores", "columns")
LONGEST = 100  # characters of a text


def run_recipe(folder: Path, recipe: str) -> Path:
    """Run a recipe on scripted engines; its run folder."""
    execute(write_kinds(folder) if recipe == "oasis" else write_recipe_job(folder, recipe))
    return folder / "run"


def record_of(run: Path, recipe: str) -> str:
    """A record of a run, as pages show it: the first row of the recipe that is accepted."""
    name = "good" if recipe == "oasis" else next(name for name, end in ENDS[recipe].items() if end == ACCEPTED)
    (row,) = (row for row in rows_of(run, "accepted") if row["id"] == name)
    values = [f"  {_json(key)}: {_shown(row[key])}" for key in SHOWN if key in row]
    return "```json\n{\n" + ",\n".join(values) + "\n}\n```\n"


def _shown(value: Any) -> str:
    """A value on one line; a list, and a mapping that is long, on a line for each element."""
    short = _short(value)
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"    {_json(element)}" for element in short) + "\n  ]"
    if isinstance(value, dict) and len(_json(short)) > LONGEST:
        return "{\n" + ",\n".join(f"    {_json(key)}: {_json(short[key])}" for key in short) + "\n  }"
    return _json(short)


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(element) for element in value]
    if isinstance(value, dict):
        return {key: _short(element) for key, element in value.items()}
    return f"{value[:LONGEST]}…" if isinstance(value, str) and len(value) > LONGEST else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def records_on(page: str) -> dict[str, str]:
    """The records that a page shows, by recipe."""
    return {mark[2]: mark[0].removeprefix(mark[1]).removesuffix(mark[3]) for mark in MARK.finditer(page)}


def written(page: str) -> str:
    """A page with the records as the recipes make them now."""

    def record(mark: re.Match[str]) -> str:
        with TemporaryDirectory() as folder:
            return mark[1] + record_of(run_recipe(Path(folder), mark[2]), mark[2]) + mark[3]

    return MARK.sub(record, page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
