"""What do bad rows cost? The same run on clean rows and on rows of which one in a hundred is bad, in turns.

    python -m benchmarks.bad_rows [--rows 800] [--rounds 3] [--out FILE]

Half of the bad rows have broken pictures, half get replies that no stage can read. The engines are scripted and answer
at once, so all the time is the service's own. The figure is a ratio within one run: the median seconds of the clean
runs over the median seconds of the others, from the first row to the last part, without the engines' start.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.demo_images import encoded, picture_of
from benchmarks.result import write_result
from oasis_ray.cli import SHIPPED
from oasis_ray.input.columns import IMAGE
from oasis_ray.job.load import load_job
from oasis_ray.run.run import Run
from oasis_ray.types import Call, Reply

ONE_IN = 100


def reply(call: Call) -> Reply:
    """What a good pair would say; to the rows `mute` nothing that can be read."""
    text = call.request.text
    if call.request.speaker == "user":
        return Reply.of("What does the sign in the picture say?")
    if text.startswith("You sort texts"):
        return Reply.of("…" if "mute" in call.row else "Kind: instruction\nInstruction: What does the sign say?")
    return Reply.of("It is fine. [[5]]" if "[[" in text else "The sign says STOP.")


def write(folder: Path, rows: int, one_in: int) -> None:
    """Shards of `rows` pictures, of which one in `one_in` is bad (0: none)."""
    files = []
    for number in range(rows):
        data, name = encoded(picture_of("bad rows", number)[1]), f"{number:05d}"
        if one_in and number % one_in == 0:
            half = number // one_in % 2
            data, name = (data[:-60], f"{name}-broken") if half else (data, f"{name}-mute")
        files.append({"id": name, "image": {"bytes": data, "path": None}})
    folder.mkdir()
    table = pa.Table.from_pylist(files, pa.schema({"id": pa.string(), "image": IMAGE}))
    pq.write_table(table, folder / "shard.parquet", row_group_size=64)


def seconds(folder: Path, name: str, number: int) -> tuple[float, dict[str, int]]:
    """How long one run takes without its start, and its rows by outcome."""
    pool = {"backend": "scripted", "model": "script", "script": "benchmarks.bad_rows:reply", "device": "cpu"}
    job = {
        "recipe": "oasis",
        "input": {"path": str(folder / name), "id": "id"},
        "output": {"path": str(folder / f"{name}-{number}")},
        "pools": {"vlm": pool, "llm": pool},
        "max_failed": 1.0,
    }
    path = folder / f"{name}-{number}.yaml"
    path.write_text(yaml.safe_dump(job))
    manifest = Run(*load_job(path, SHIPPED)).execute()
    return manifest["sessions"][0]["seconds"], manifest["rows"]


def main() -> None:
    """Run in turns, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=800, help="rows of a run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind")
    parser.add_argument("--out", type=Path, help="the result file (default: benchmarks/results/bad_rows-DATE.json)")
    asked = parser.parse_args()
    took: dict[str, list[float]] = {"clean": [], "bad": []}
    outcomes: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, one_in in (("warm-up", 0), ("clean", 0), ("bad", ONE_IN)):
            write(folder / name, asked.rows if name != "warm-up" else 32, one_in)
        seconds(folder, "warm-up", 0)
        for number in range(asked.rounds):
            for name in took if number % 2 else reversed(took):
                second, outcomes[name] = seconds(folder, name, number)
                took[name].append(second)
    median = {name: statistics.median(each) for name, each in took.items()}
    figures = {
        "rows": asked.rows,
        "bad_rows": outcomes["bad"]["failed"],
        "seconds_clean": took["clean"],
        "seconds_with_bad_rows": took["bad"],
        "speed_with_bad_rows": round(median["clean"] / median["bad"], 3),
    }
    table = Table("", "value", title="One bad row in a hundred")
    for key, value in figures.items():
        table.add_row(key, str(value))
    Console().print(table)
    command = f"python -m benchmarks.bad_rows --rows {asked.rows} --rounds {asked.rounds}"
    write_result("bad_rows", figures, command, None, asked.out)


if __name__ == "__main__":
    main()
