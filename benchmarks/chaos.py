"""Kill engines, workers, writers and drivers at random moments, resume, and count what was lost or done twice.

    python -m benchmarks.chaos [--kills 50] [--rows 1500] [--seed 0] [--out FILE]

A cluster of its own on this machine, two pools of scripted engines (the models play no part here; what dies are the
processes around them), the shipped recipe. Runs follow on each other until enough was killed; a driver that was killed
is started again by the same command. Afterwards every run is audited, and its ids are counted once more by DuckDB.
`make chaos` prints a table and writes benchmarks/results/chaos-DATE.json.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from bisect import bisect
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import duckdb
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.demo_images import write_shards
from benchmarks.local_cluster import LocalCluster
from benchmarks.result import write_result
from oasis_ray.output.audit import audit
from oasis_ray.types import Call, Reply

OASIS = str(Path(sys.executable).with_name("oasis-ray"))
IN_FLIGHT, A_PART, OUTCOMES = 64, 16, 4
# What is killed, how often among ten kills, and how Ray titles its process.
VICTIMS = {
    "engine": (4, "ray::ServeReplica:oasis-"),
    "worker": (3, "ray::MapWorker(MapBatches(RowWorker))"),
    "writer": (2, "ray::Write"),
    "driver": (1, ""),
}


async def reply(call: Call) -> Reply:
    """An engine that takes its time and notes every hook it is asked for. What it says depends on the row alone."""
    drawn = int.from_bytes(sha256(f"{call.row} {call.seed}".encode()).digest()[:4], "big") / 2**32
    await asyncio.sleep(0.05 + 0.3 * drawn)
    text = call.request.text
    if call.request.speaker == "user":
        await asyncio.to_thread(_note, f"{time.time()} {call.row}@{call.seed}\n")
        return Reply.of("A teal square fills the whole picture, and its edges are sharp. What does it show?")
    if text.startswith("You sort texts"):
        return Reply.of("Kind: caption" if drawn < 0.4 else "Kind: instruction\nInstruction: What does it show?")
    if "[[" in text:
        return Reply.of("Looked at. [[1]]" if drawn < 0.1 else "Looked at. [[5]]")
    return Reply.of("A teal square.")


def _note(line: str) -> None:
    with Path(os.environ["OASIS_RAY_CHAOS_LOG"]).open("a") as log:
        log.write(line)


@dataclass
class Chaos:
    """One harness: the standing cluster, what was killed when, and the runs so far."""

    folder: Path
    cluster: LocalCluster
    rows: int
    seed: int
    kills: list[tuple[float, str]] = field(default_factory=list)
    runs: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"chaos {self.seed}")
        write_shards(self.folder / "shards", f"chaos-{self.seed}", self.rows, {})

    def run(self, kills: int) -> None:
        """Run the job to its end, killing on the way until `kills` were killed in all."""
        pool = {"backend": "scripted", "model": "script", "script": "benchmarks.chaos:reply", "device": "cpu"}
        out = self.folder / f"run-{len(self.runs)}"
        job = {
            "recipe": "oasis",
            "input": {"path": str(self.folder / "shards"), "id": "id"},
            "output": {"path": str(out), "rows_per_part": A_PART},
            "pools": {"vlm": pool | {"replicas": 2}, "llm": pool},
            "seed": len(self.runs),
            "rows_in_flight": IN_FLIGHT,
            "workers": 2,
            "max_failed": 1.0,
        }
        path = out.with_suffix(".yaml")
        path.write_text(yaml.safe_dump(job))
        self.runs.append(out)
        while True:
            with (self.folder / "drivers.log").open("ab") as log:
                driver = subprocess.Popen(
                    [OASIS, "run", str(path)], stdout=log, stderr=log, env=self.cluster.environment
                )
            asked = self.asked()
            while driver.poll() is None:
                if len(self.kills) < kills and self.asked() > asked:  # it works, so there is something to lose
                    time.sleep(self.rng.uniform(0.5, 4))
                    asked = self.asked()
                    self._kill(driver)
                time.sleep(0.05)
            if driver.returncode == 0:
                return
            if driver.returncode > 0:
                raise SystemExit(
                    f"the run ended with {driver.returncode}:\n{(self.folder / 'drivers.log').read_text()[-3000:]}"
                )

    def asked(self) -> int:
        """Bytes that the engines have noted so far."""
        log = self.folder / "hooks.log"
        return log.stat().st_size if log.exists() else 0

    def _kill(self, driver: "subprocess.Popen[bytes]") -> None:
        kind = self.rng.choices(list(VICTIMS), [often for often, _ in VICTIMS.values()])[0]
        if kind == "driver":
            if driver.poll() is None:
                driver.kill()
                driver.wait()
                self.kills.append((time.time(), kind))
            return
        deadline = time.monotonic() + 10  # writers come and go
        while time.monotonic() < deadline and driver.poll() is None:
            found = self.cluster.processes(VICTIMS[kind][1], patience_s=1)
            if found:
                self.rng.choice(found).kill()
                self.kills.append((time.time(), kind))
                return


def computed_again(log: Path, kills: list[tuple[float, str]]) -> list[int]:
    """For each kill, the rows that were begun once more between it and the next."""
    moments, begun, again = [moment for moment, _ in kills], set[str](), [0] * len(kills)
    for line in log.read_text().splitlines():
        moment, row = line.split(" ", 1)  # the row with its seed, which no two runs share
        last = bisect(moments, float(moment)) - 1
        if row in begun and last >= 0:
            again[last] += 1
        begun.add(row)
    return again


def count(run: Path, given: list[str]) -> tuple[int, int, int]:
    """Rows lost, rows twice and rows called poison, by DuckDB from the parts themselves."""
    every, failed = ([str(part) for part in sorted(run.glob(which))] for which in ("*/part-*", "failed/part-*"))
    ids = "SELECT id, count(*) FROM read_parquet($parts, union_by_name = true) GROUP BY id"
    ended = dict(duckdb.execute(ids, {"parts": every}).fetchall())
    reasons = "SELECT count(*) FROM read_parquet($parts) WHERE reason = 'poison'"
    poison = duckdb.execute(reasons, {"parts": failed}).fetchall()[0][0] if failed else 0
    return len(set(given) - set(ended)), sum(n > 1 for n in ended.values()), poison


def main() -> None:
    """Run, print, and write the result. Ends with code 1 where a row was lost or stands twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="processes to kill")
    parser.add_argument("--rows", type=int, default=1500, help="rows of a run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    parser.add_argument("--out", type=Path, help="the result file (default: benchmarks/results/chaos-DATE.json)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(Path(scratch), asked.kills, asked.rows, asked.seed)
    table = Table("", "value", title=f"{asked.kills} random kills")
    for name, value in figures.items():
        table.add_row(name, str(value))
    Console().print(table)
    command = f"python -m benchmarks.chaos --kills {asked.kills} --rows {asked.rows} --seed {asked.seed}"
    write_result("chaos", figures, command, asked.seed, asked.out)
    raise SystemExit(int(bool(figures["rows_lost"] or figures["rows_twice"] or figures["audit_faults"])))


def measure(folder: Path, kills: int, rows: int, seed: int) -> dict[str, object]:
    """The figures of runs of `rows` rows in which `kills` processes are killed."""
    log = folder / "hooks.log"
    with LocalCluster(OASIS_RAY_CHAOS_LOG=str(log)) as cluster:
        chaos = Chaos(folder, cluster, rows, seed)
        while len(chaos.kills) < kills:
            chaos.run(kills)
    given = [f"chaos-{seed}-{number:05d}.png" for number in range(rows)]
    lost, twice, poison = (sum(each) for each in zip(*(count(run, given) for run in chaos.runs), strict=True))
    again = computed_again(log, chaos.kills)
    by_kind = {kind: [n for n, (_, one) in zip(again, chaos.kills, strict=True) if one == kind] for kind in VICTIMS}
    return {
        "kills": {kind: len(found) for kind, found in by_kind.items()},
        "runs": len(chaos.runs),
        "rows_a_run": rows,
        "rows_in_flight": IN_FLIGHT,
        "rows_lost": lost,
        "rows_twice": twice,
        "rows_called_poison": poison,
        "audit_faults": [fault for run in chaos.runs for fault in audit(str(run)).faults],
        "computed_again_a_kill": round(sum(again) / max(1, len(again)), 1),
        "computed_again_a_kill_at_most": max(again, default=0),
        "rows_in_flight_or_waiting_for_a_part": IN_FLIGHT + A_PART * OUTCOMES,
        "computed_again_by_kind": {k: round(sum(n) / len(n), 1) for k, n in by_kind.items() if n},
    }


if __name__ == "__main__":
    main()
