"""Trace of a run for Perfetto (ui.perfetto.dev): what each row waited for, request by request.

It is computed from the lineage in the parts, so it needs no recording during the run and works for old runs too.
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
from oasis_ray.output.outcomes import outcomes_in
from oasis_ray.output.parts import read_parts
from oasis_ray.storage import locate

ROWS, ENGINES = 1, 2  # the "processes" of the trace
MICRO = 1_000_000


@dataclass(frozen=True)
class Waited:
    """Request times of a node: number of requests, their seconds in total, and of these the seconds in an engine."""

    node: str
    requests: int
    seconds: float
    engine_seconds: float


def waited(folder: str) -> list[Waited]:
    """Return the request times of each node, the highest total first. Raises JobError: see `_steps`."""
    kept = ["node", "seconds", "engine_seconds"]
    every = pa.concat_tables([steps.select(kept) for _, _, steps in _steps(folder)], promote_options="permissive")
    sums = every.group_by("node").aggregate([([], "count_all"), ("seconds", "sum"), ("engine_seconds", "sum")])
    return [
        Waited(row["node"], row["count_all"], row["seconds_sum"], row["engine_seconds_sum"])
        for row in sums.sort_by([("seconds_sum", "descending")]).to_pylist()
    ]


def write_trace(folder: str, path: str, rows: int) -> int:
    """Write a trace of up to `rows` consecutive rows from the middle of the run, and return their number.

    A path that ends in .gz is compressed. Raises JobError if no row of the run sent a request.
    """
    every = (_first(table, steps).column("started").to_pylist() for _, table, steps in _steps(folder))
    starts = sorted(start for part in every for start in part)
    if not starts:
        raise JobError([f"{folder}: no row sent a request to an engine, so there is nothing to trace"])
    at = max(0, (len(starts) - rows) // 2)
    first, last = starts[at], starts[min(at + rows, len(starts)) - 1]
    chosen: list[tuple[str, dict[str, Any]]] = []
    for outcome, table, steps in _steps(folder):
        begun = _first(table, steps)
        within = begun.filter((pc.field("started") >= first) & (pc.field("started") <= last))
        chosen.extend((outcome, row) for row in table.take(within.column("row")).to_pylist())
    chosen.sort(key=lambda item: item[1]["lineage"][0]["started"])
    fs, place = locate(path)
    with fs.open(place, "wb") as raw, gzip.open(raw, "wb") if path.endswith(".gz") else raw as binary:
        stream = io.TextIOWrapper(binary, encoding="utf-8")
        for n, event in enumerate(_events(chosen, first)):
            stream.write(("[\n" if n == 0 else ",\n") + json.dumps(event, ensure_ascii=False))
        stream.write("\n]\n")
        stream.flush()
    return len(chosen)


def _steps(folder: str) -> Iterator[tuple[str, pa.Table, pa.Table]]:
    """Yield outcome, ids with lineage, and all steps of each part. Raises JobError if a part has no start times."""
    for outcome in outcomes_in(folder):
        for table in read_parts(folder, outcome, ["id", "lineage"]):
            steps = pa.Table.from_struct_array(table.column("lineage").combine_chunks().flatten())
            if "started" not in steps.column_names:
                raise JobError(
                    [f"{folder} was created by a version that did not record start times (`started` in the lineage)"]
                )
            yield outcome, table, steps


def _first(table: pa.Table, steps: pa.Table) -> pa.Table:
    """Return the time of the first request (`started`) of each row that sent one (`row`: its index in `table`)."""
    rows = pc.list_parent_indices(table.column("lineage").combine_chunks())
    requests = pa.table({"row": rows, "started": steps.column("started")})
    return requests.group_by("row").aggregate([("started", "min")]).rename_columns(["row", "started"]).drop_null()


def _events(rows: Iterable[tuple[str, Mapping[str, Any]]], zero: float) -> Iterator[dict[str, Any]]:
    """Yield the events of a trace (Chrome format, microseconds): a slice per row, per request, and per engine call.

    Rows share lanes, as many as there were rows in flight at a time. Of an engine call only the duration is known, so
    it is centered within its request.
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
            details = {key: step[key] for key in ("engine", "prompt_tokens", "cached_tokens", "reply_tokens", "finish")}
            yield _slice(step["node"], step["started"], step["seconds"], zero, track, details)
            inside = min(step["engine_seconds"] or 0.0, step["seconds"])
            middle = step["started"] + (step["seconds"] - inside) / 2
            yield _slice("in the engine", middle, inside, zero, track, {})
            engine = step["engine"] or "engine"
            changes += [(middle, engine, 1), (middle + inside, engine, -1)]
    in_engine: Counter[str] = Counter()
    for when, engine, change in sorted(changes):
        in_engine[engine] += change
        yield {
            "ph": "C",
            "pid": ENGINES,
            "name": engine,
            "ts": _micro(when - zero),
            "args": {"requests": in_engine[engine]},
        }


def _slice(
    name: str, start: float, seconds: float, zero: float, track: Mapping[str, int], details: Mapping[str, Any]
) -> dict[str, Any]:
    return {"ph": "X", "name": name, "ts": _micro(start - zero), "dur": _micro(seconds), **track, "args": dict(details)}


def _micro(seconds: float) -> int:
    return round(seconds * MICRO)
