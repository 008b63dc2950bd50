"""`make bench-scale`: rows a second with 1 to 64 engines, with a straggler, and memory with more and more rows."""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from rich.console import Console

from benchmarks.demo_images import encoded, picture_of
from benchmarks.result import show, write_result
from benchmarks.scale.trial import Memory, trial
from benchmarks.speed.rounds import Round
from oasis_ray.input.columns import IMAGE

ENGINES = (1, 4, 16, 64)
IN_FLIGHT = 8  # rows for each engine
WAVES = 8  # times the rows in flight
LEAST_ROWS = 128  # with fewer, the rate of one engine, which others are held against, is chance
PICTURES = 4096  # an engine that sees one twice has it in its cache: one of few engines would be the sooner for it
ROWS = (10_000, 100_000)
LATENCY = {"read_tokens_per_s": 750, "token_s": 0.03, "token_s_per_reply": 0.0003, "cached_images": 64}
ENGINE = {"backend": "simulated", "model": "72b", "device": "cpu", "latency": LATENCY}
TEXTS = ("categorize", "nonsense", "caption_language", "caption_information", "caption_coherence")  # asked of the LLM


def write_shards(folder: Path, rows: int) -> Path:
    """Write rows of small pictures and a text, in shards of up to 50,000; the folder."""
    folder.mkdir(parents=True)
    files = [encoded(picture_of("scale", number)[1]) for number in range(min(rows, PICTURES))]
    for start in range(0, rows, 50_000):
        numbers = range(start, min(rows, start + 50_000))
        given = pa.array([{"bytes": files[at % len(files)], "path": None} for at in numbers], IMAGE)
        texts = [
            f"The picture of this row has the number {at}, and all there is to say of it is said." for at in numbers
        ]
        table = pa.table({"id": [f"row-{at:07d}" for at in numbers], "image": given, "text": texts})
        pq.write_table(table, folder / f"shard-{start:07d}.parquet", row_group_size=64)
    return folder


def write_job(folder: Path, name: str, shards: Path, **keys: Any) -> Path:
    """Write a job over some shards; its path."""
    document = {
        "recipe": "oasis",
        "input": {"path": str(shards), "id": "id"},
        "output": {"path": str(folder / f"run-{name}")},
        "max_failed": 1.0,
    } | keys
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def with_engines(folder: Path, name: str, count: int, waves: int, script: str) -> dict[str, Any]:
    """Rows a second of so many engines, how evenly rows were spread over them, and what a request cost."""
    flying = IN_FLIGHT * count
    path = write_job(
        folder,
        name,
        write_shards(folder / f"shards-{name}", max(LEAST_ROWS, flying * waves)),
        pools={"vlm": ENGINE | {"script": f"benchmarks.simulated:{script}", "replicas": count}},
        nodes={node: {"pool": "vlm"} for node in TEXTS},  # one pool, so that `count` is all engines
        score_in_full=0.0,
        rows_in_flight=flying,
        workers=min(4, -(-count // 8)),
    )
    found, most = trial(path)
    return {"rows_per_s": found.rate(flying), **spread_of(found), **costs(found, most)}


def spread_of(found: Round) -> dict[str, Any]:
    """The fewest and the most rows that began at an engine, and how many rows went to another one later."""
    asked = [lineage for _, lineage in found.rows.values() if lineage]
    rows = Counter(lineage[0]["engine"] for lineage in asked).values()
    moved = sum(len({step["engine"] for step in lineage}) > 1 for lineage in asked)
    return {"rows_of_an_engine": f"{min(rows)} to {max(rows)}", "rows_that_moved": moved}


def costs(found: Round, most: Memory) -> dict[str, Any]:
    """CPU-milliseconds a request (a row, where nothing is asked), seconds to the first row, MiB at most."""
    told: dict[str, Any] = {"first_row_after_s": min(found.moments) - (max(found.moments) - found.seconds)}
    per, count = ("request", len(found.steps)) if found.steps else ("row", len(found.rows))
    told[f"cpu_ms_per_{per}"] = 1000 * found.cpu["others"] / count
    if (steady := found.overhead(rest=0.0)) is not None:
        told["cpu_ms_per_request_steady"] = steady
    return told | {f"{who}_mib": mib for who, mib in most.items()}


def with_rows(folder: Path, rows: int) -> dict[str, Any]:
    """Rows a second and memory where no model is asked."""
    path = write_job(
        folder,
        f"rows-{rows}",
        write_shards(folder / f"shards-{rows}", rows),
        recipe=str(Path(__file__).with_name("rows.yaml")),
        input={"path": str(folder / f"shards-{rows}"), "id": "id", "columns": ["text"]},
        pools={},
        rows_per_task=64,
        rows_in_flight=512,
    )
    found, most = trial(path)
    return {"rows_per_s": found.rate(512), **costs(found, most)}


def measure_all(
    folder: Path, engines: Sequence[int], rows: Sequence[int], waves: int, say: Callable[..., None]
) -> Iterator[dict[str, Any]]:
    """All figures so far, after each of them; rates are also told as shares of what the fewest engines do, times their
    number.
    """
    told: dict[str, Any] = {}
    for count in engines:
        say(f"{count} engines")
        told[f"{count} engines"] = one = with_engines(folder, f"engines-{count}", count, waves, "oasis_in_short")
        one["of_linear"] = one["rows_per_s"] / (told[f"{engines[0]} engines"]["rows_per_s"] * count / engines[0])
        yield told
    many = engines[-2]
    say(f"{many} engines, one of them slow")
    slow = told[f"{many} engines, one slow"] = with_engines(folder, "slow", many, waves, "with_a_straggler")
    slow["of_all_well"] = slow["rows_per_s"] / told[f"{many} engines"]["rows_per_s"]
    yield told
    for count in rows:
        say(f"{count} rows")
        told[f"{count} rows"] = with_rows(folder, count)
        yield told


def main() -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--engines", type=int, nargs="+", default=ENGINES, help="how many, at least two numbers")
    parser.add_argument("--rows", type=int, nargs="*", default=ROWS, help="a million take an hour and more")
    parser.add_argument("--waves", type=int, default=WAVES, help="how often all places for rows are filled")
    given, console = parser.parse_args(), Console()
    command = " ".join(["python -m benchmarks.scale", *sys.argv[1:]])
    with tempfile.TemporaryDirectory() as scratch:
        for result in measure_all(Path(scratch), given.engines, given.rows, given.waves, console.print):
            write_result("scale", result, command, 0)  # after each, so that none is lost with a later one
    show(console, result)


if __name__ == "__main__":
    main()
