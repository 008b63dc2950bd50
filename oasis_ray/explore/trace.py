"""A run as a trace for Perfetto (ui.perfetto.dev): what each row waited for, request by request.

It is taken from the lineage in the parts, so no process keeps anything for it, and a run of last month has one too.
"""

import gzip
import heapq
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from oasis_ray.errors import JobError
from oasis_ray.output.parts import read_parts
from oasis_ray.storage import locate
from oasis_ray.types import Outcome

ROWS, ENGINES = 1, 2  # the "processes" of the trace
MICRO = 1_000_000


@dataclass(frozen=True)
class Waited:
    """What a node's requests waited for: how many, for how many seconds, and in an engine for how many of these."""

    node: str
    requests: int
    seconds: float
    engine_seconds: float


def waited(folder: str) -> list[Waited]:
    """For each node where the time of its requests went, in the order of the sum. Raises JobError: see `_steps`."""
    kept = ["node", "seconds", "engine_seconds"]
    every = pa.concat_tables([steps.select(kept) for _, _, steps in _steps(folder)], promote_options="permissive")
    sums = every.group_by("node").aggregate([([], "count_all"), ("seconds", "sum"), ("engine_seconds", "sum")])
    return [
        Waited(one["node"], one["count_all"], one["seconds_sum"], one["engine_seconds_sum"])
        for one in sums.sort_by([("seconds_sum", "descending")]).to_pylist()
    ]


def write_trace(folder: str, path: str, rows: int) -> int:
    """Write a trace of `rows` rows that began one after another in the middle of the run; how many there were.

    A path that ends in .gz is compressed. Raises JobError where the run has no rows that asked anything.
    """
    every = (_first(table, steps).column("started").to_pylist() for _, table, steps in _steps(folder))
    starts = sorted(start for some in every for start in some)
    if not starts:
        raise JobError([f"{folder} has no row that asked an engine: there is nothing to trace"])
    at = max(0, (len(starts) - rows) // 2)
    first, last = starts[at], starts[min(at + rows, len(starts)) - 1]
    chosen: list[tuple[str, dict[str, Any]]] = []
    for outcome, table, steps in _steps(folder):
        here = _first(table, steps)
        within = here.filter((pc.field("started") >= first) & (pc.field("started") <= last))
        chosen.extend((outcome, row) for row in table.take(within.column("row")).to_pylist())
    chosen.sort(key=lambda one: one[1]["lineage"][0]["started"])
    fs, place = locate(path)
    with fs.open(place, "wb") as raw, gzip.open(raw, "wb") if path.endswith(".gz") else raw as binary:
        stream = io.TextIOWrapper(binary, encoding="utf-8")
        for n, event in enumerate(_events(chosen, first)):
            stream.write(("[\n" if n == 0 else ",\n") + json.dumps(event, ensure_ascii=False))
        stream.write("\n]\n")
        stream.flush()
    return len(chosen)


def _steps(folder: str) -> Iterator[tuple[str, pa.Table, pa.Table]]:
    """Outcome, ids with lineage, and all steps of each part. Raises JobError where parts are older than `started`."""
    for outcome in Outcome:
        for table in read_parts(folder, outcome, ["id", "lineage"]):
            steps = pa.Table.from_struct_array(table.column("lineage").combine_chunks().flatten())
            if "started" not in steps.column_names:
                raise JobError([f"{folder} was made before requests had times (`started` in its lineage)"])
            yield str(outcome), table, steps


def _first(table: pa.Table, steps: pa.Table) -> pa.Table:
    """When each row that asked anything (its place in `table`) asked first (`started`)."""
    rows = pc.list_parent_indices(table.column("lineage").combine_chunks())
    asked = pa.table({"row": rows, "started": steps.column("started")})
    return asked.group_by("row").aggregate([("started", "min")]).rename_columns(["row", "started"]).drop_null()


def _events(rows: Iterable[tuple[str, Mapping[str, Any]]], zero: float) -> Iterator[dict[str, Any]]:
    """The events of a trace (Chrome's format, microseconds): a slice a row, in it a slice a request, in it its engine.

    Rows share lanes, as few as there were rows at a time. When a request was in its engine is known by its length
    alone, so it is drawn in the middle of its request.
    """
    yield {"ph": "M", "pid": ROWS, "name": "process_name", "args": {"name": "rows in flight"}}
    yield {"ph": "M", "pid": ENGINES, "name": "process_name", "args": {"name": "requests in each engine"}}
    free: list[int] = []
    flying: list[tuple[float, int]] = []
    lanes = 0
    changes: list[tuple[float, str, int]] = []
    for outcome, row in rows:
        steps = row["lineage"]
        begin, end = steps[0]["started"], max(step["started"] + step["seconds"] for step in steps)
        while flying and flying[0][0] <= begin:
            heapq.heappush(free, heapq.heappop(flying)[1])
        lane = heapq.heappop(free) if free else (lanes := lanes + 1)
        heapq.heappush(flying, (end, lane))
        track = {"pid": ROWS, "tid": lane}
        yield _slice(row["id"], begin, end - begin, zero, track, {"outcome": outcome})
        for step in steps:
            about = {key: step[key] for key in ("engine", "prompt_tokens", "cached_tokens", "reply_tokens", "finish")}
            yield _slice(step["node"], step["started"], step["seconds"], zero, track, about)
            inside = min(step["engine_seconds"] or 0.0, step["seconds"])
            middle = step["started"] + (step["seconds"] - inside) / 2
            yield _slice("in the engine", middle, inside, zero, track, {})
            engine = step["engine"] or "engine"
            changes += [(middle, engine, 1), (middle + inside, engine, -1)]
    there: Counter[str] = Counter()
    for when, engine, change in sorted(changes):
        there[engine] += change
        yield {
            "ph": "C",
            "pid": ENGINES,
            "name": engine,
            "ts": _micro(when - zero),
            "args": {"requests": there[engine]},
        }


def _slice(
    name: str, start: float, seconds: float, zero: float, track: Mapping[str, int], about: Mapping[str, Any]
) -> dict[str, Any]:
    return {"ph": "X", "name": name, "ts": _micro(start - zero), "dur": _micro(seconds), **track, "args": dict(about)}


def _micro(seconds: float) -> int:
    return round(seconds * MICRO)
