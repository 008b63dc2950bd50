"""Run MM-INF's recipes on the demo's models, on the same images, and hold what they make against the scenes.

    python -m benchmarks.recipes [--rows 36] [--recipes oasis_n caption_gen] [--out runs/recipes] [--record]

Each model's engine is started once, in this process. `OUT/RECIPE` has the job, its input and its run folder. The table
has the rows by outcome, and the share of texts that are right before the recipe's filters and after them, the prompt
and reply tokens per accepted row, and for recipes that answer the share of right answers. `--record` writes
benchmarks/results/recipes-DATE.json, with 95% Wilson intervals.
"""

import argparse
import os
import shutil
import time
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.quality import rows_of
from benchmarks.recipes.engines import SharedEngines
from benchmarks.recipes.jobs import RECIPES, write_job
from benchmarks.recipes.rows import SEED, write_rows
from benchmarks.recipes.truth import TRUTHS, after, answered, before, repaired
from benchmarks.result import write_result
from benchmarks.share import Share, share
from oasis_ray.cli import SHIPPED
from oasis_ray.job.load import load_job
from oasis_ray.output.audit import audit
from oasis_ray.run.run import Run

LEGEND = """\
other: other records, here captions. before: of all texts that a recipe made;
after: of those in accepted rows; answers: of the answers to the latter.
prompt_evolve, before: of the pairs in its input.
"""
ANSWERING = ("oasis", "oasis_n", "oasis_repair", "caption_conversation", "caption_conversation_as_coded")


def run_recipe(folder: Path, recipe: str, rows: int, engines: SharedEngines) -> dict[str, Any]:
    """Run one recipe in `folder`; return its figures: counts, shares, tokens, seconds."""
    shutil.rmtree(folder, ignore_errors=True)
    write_rows(folder / "shards/rows.parquet", recipe, rows)
    run = Run(*load_job(write_job(folder, recipe), SHIPPED))
    run.executor = engines
    began = time.monotonic()
    manifest = run.execute()
    seconds = time.monotonic() - began
    faults = audit(run.folder).faults
    if faults:
        raise SystemExit(f"{run.folder}: the audit found: {'; '.join(map(str, faults))}")
    found = rows_of(Path(run.folder))
    spent, accepted = manifest["bill"]["total"], manifest["rows"]["accepted"]
    shares = {"right_before": share(before(recipe, found)), "right_after": share(after(recipe, found))}
    if recipe in ANSWERING:
        shares["right_answers"] = share(answered(found))
    if recipe == "oasis_repair":
        shares["right_of_repaired"] = share(repaired(found))
    return {
        "rows": manifest["rows"],
        "shares": shares,
        "tokens_per_accepted": (spent["prompt_tokens"] + spent["reply_tokens"]) / accepted if accepted else None,
        "seconds": seconds,
    }


def shown(one: Share) -> str:
    """A share in per cent, and of how many."""
    return "-" if one.value is None else f"{one.value:.0%} of {one.whole}"


def tables(results: dict[str, dict[str, Any]], rows: int) -> tuple[Table, Table]:
    """Where the rows of each recipe ended, and what is right of its texts."""
    narrow = {"box": box.SIMPLE_HEAD, "pad_edge": False, "collapse_padding": True}  # 80 columns hold all names
    ended = Table("recipe", title=f"Rows by outcome, {rows} images per recipe", **narrow)
    for name in ("accepted", "other", "rejected", "failed", "tokens per\naccepted row"):
        ended.add_column(name, justify="right")
    title = "Right before the filters, and after them"
    right = Table("recipe", "what", "before", "after", "answers", title=title, **narrow)
    for recipe, result in results.items():
        counts, shares, tokens = result["rows"], result["shares"], result["tokens_per_accepted"]
        other = sum(counts.values()) - counts["accepted"] - counts["rejected"] - counts["failed"]
        numbers = (counts["accepted"], other, counts["rejected"], counts["failed"])
        ended.add_row(recipe, *map(str, numbers), "-" if tokens is None else f"{tokens:,.0f}")
        answers = shares.get("right_answers")
        right.add_row(
            recipe, TRUTHS[recipe].counted, shown(shares["right_before"]), shown(shares["right_after"]),
            "" if answers is None or answers.value is None else f"{answers.value:.0%}",
        )  # fmt: skip
    return ended, right


def main() -> None:
    """Run, print, and write the result where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=36, help="images per recipe")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES), help="which recipes")
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"), help="the folder of the runs")
    parser.add_argument("--record", action="store_true", help="write benchmarks/results/recipes-DATE.json")
    asked = parser.parse_args()
    os.environ.setdefault("SPT_NOENV", "1")
    console, engines, results = Console(), SharedEngines(), dict[str, dict[str, Any]]()
    began = time.monotonic()
    try:
        for recipe in asked.recipes:
            console.print(f"{recipe} …", highlight=False)
            results[recipe] = run_recipe(asked.out / recipe, recipe, asked.rows, engines)
    finally:
        engines.end()
    console.print(*tables(results, asked.rows), LEGEND, sep="\n", highlight=False)
    if "oasis_repair" in results:
        one = results["oasis_repair"]["shares"]["right_of_repaired"]
        console.print(f"oasis_repair: right of the accepted rows that were reworded: {shown(one)}", highlight=False)
    console.print(f"{time.monotonic() - began:.0f} s; runs in {asked.out}", highlight=False)
    if asked.record:
        figures = {recipe: result | {"shares": {
            name: {"value": one.value, "count": [one.part, one.whole], "interval": one.interval}
            for name, one in result["shares"].items()
        }} for recipe, result in results.items()}  # fmt: skip
        command = f"python -m benchmarks.recipes --rows {asked.rows} --record"
        write_result("recipes", {"images": asked.rows, "recipes": figures}, command, SEED)


if __name__ == "__main__":
    main()
