"""How good is what passes? The whole job on fresh scenes of a world whose truth is known, held against that truth.

    python -m benchmarks.quality [--rows 400] [--out FILE]

It runs the demo's job twice on the same pictures: once with every instruction judged on all four axes and every caption
on the axis that sees the image too (which turns none away here), once without judges, so that the responses to what
they would have turned away are seen too. `make bench-quality` prints a table and writes
benchmarks/results/quality-DATE.json. Shares come with counts and 95% Wilson intervals.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.demo_images import picture_of, write_shards
from benchmarks.result import write_result
from benchmarks.share import Share, share
from benchmarks.world.oracle import flaw, is_right, read_caption, wellformed
from benchmarks.world.reading import malformed, read_turn
from benchmarks.world.scene import Scene
from oasis_ray.output.outcomes import outcomes_in

HERE = Path(__file__).parent
JUDGES = {"nonsense": (5,), "hallucination": (5,), "solvability": (3, 4, 5), "clarity": (3, 4, 5)}
# By axis, the flaws for which a request must be turned away.
WRONG = {
    "nonsense": ("nonsense",),
    "hallucination": ("invented",),
    "solvability": ("invented", "unsolvable", "unclear", "nonsense"),
    "clarity": ("unclear", "nonsense"),
}

# One run judges everything on all axes, the other nothing.
RUNS: dict[str, dict[str, Any]] = {
    "judged": {
        "score_in_full": 1.0,
        "nodes": {"caption_truth": {"enabled": True, "with": {"accept": [1, 2, 3, 4, 5]}}},
    },
    "free": {"nodes": {name: {"enabled": False} for name in (*JUDGES, "gate")}},
}


def job(folder: Path, name: str, changes: dict[str, Any]) -> Path:
    """The demo's job on the benchmark's pictures, with changes."""
    document = yaml.safe_load((HERE.parent / "cluster/jobs/demo.yaml").read_text())
    document |= {
        "input": {"path": str(folder / "shards/*.parquet"), "id": "id"},
        "output": {"path": str(folder / name)},
    }
    nodes = document["nodes"] | changes.get("nodes", {})
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document | changes | {"nodes": nodes}))
    return path


def run(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Run a job to its end; its rows by outcome."""
    subprocess.run([str(Path(sys.executable).with_name("oasis-ray")), "run", str(path)], check=True, cwd=HERE.parent)
    return rows_of(path.with_suffix(""))


def rows_of(out: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of a run folder by outcome."""
    return {name: [row for part in sorted(out.glob(f"{name}/*.parquet")) for row in pq.read_table(part).to_pylist()]
            for name in outcomes_in(str(out))}  # fmt: skip


def scene_of(row: dict[str, Any]) -> Scene:
    """The scene that a row's picture shows."""
    seed, number = row["id"].removesuffix(".png").rsplit("-", 1)
    return picture_of(seed, int(number))[0]


def measure(judged: dict[str, list[dict[str, Any]]], free: dict[str, list[dict[str, Any]]]) -> dict[str, Share]:
    """Every share, by name, of a run in which everything is judged and of one without judges."""
    rows = [row for outcome in judged for row in judged[outcome] if (row["nodes"].get("hook") or {}).get("text")]
    texts = [(row, scene_of(row), read_turn(row["nodes"]["hook"]["text"])) for row in rows]
    taken = [(row, scene, turn, row["nodes"]["categorize"]["instruction"] if row["nodes"].get("categorize") else "")
             for row, scene, turn in texts]  # fmt: skip
    asked = [(row, flaw(scene, said)) for row, scene, _, said in taken if said]
    both = [(turn.instruction, said) for _, _, turn, said in taken if turn.instruction and said]
    captions = [(row, scene_of(row)) for row in judged["captions"]]
    seen = [(row["nodes"]["caption_truth"]["score"] >= 4, _true(scene, row["response"])) for row, scene in captions]
    told = [(scene, turn.text) for _, scene, turn in texts if not turn.instruction]
    shares = {
        "hook_malformed": share([malformed(turn.text) for _, _, turn in texts]),
        "hook_instructions": share([bool(turn.instruction) for _, _, turn in texts]),
        "categorize_accuracy": share([bool(turn.instruction) == bool(said) for _, _, turn, said in taken]),
        "extraction_exact": share([wanted == said for wanted, said in both]),
    }
    for axis, accepted in JUDGES.items():
        marks = [(row["nodes"][axis]["score"] in accepted, kind not in WRONG[axis])
                 for row, kind in asked if row["nodes"].get(axis)]  # fmt: skip
        shares[f"{axis}_agreement"] = share([said == true for said, true in marks])
        shares[f"{axis}_wrong_rejects"] = share([not said for said, true in marks if true])
        shares[f"{axis}_wrong_accepts"] = share([said for said, true in marks if not true])
    invented = [row for row, kind in asked if kind == "invented" and row["nodes"].get("hallucination")]
    shares |= {
        "invented_caught": share([row["nodes"]["hallucination"]["score"] != 5 for row in invented]),
        "good_before_gate": share([kind == "good" for _, kind in asked]),
        "good_after_gate": share([flaw(scene_of(row), row["instruction"]) == "good" for row in judged["accepted"]]),
        "gate_accepted": Share(len(judged["accepted"]), len(asked)),
        "response_accuracy_accepted": _right(judged["accepted"]),
        "response_accuracy_unfiltered": _right(free["accepted"]),
        "caption_truth_raw": share([_true(scene, text) for scene, text in told]),
        "caption_truth_recycled": share([_true(scene, row["response"]) for row, scene in captions]),
        "caption_truth_with_image_axis": share([true for kept, true in seen if kept]),
        "caption_truth_agreement": share([kept == true for kept, true in seen]),
        "caption_truth_wrong_rejects": share([not kept for kept, true in seen if true]),
        "caption_truth_wrong_accepts": share([kept for kept, true in seen if not true]),
        "caption_wellformed_raw": share([wellformed(scene, text) for scene, text in told]),
        "caption_wellformed_recycled": share([wellformed(scene, row["response"]) for row, scene in captions]),
        "caption_kept": Share(len(captions), len(told)),
        "failed": Share(len(judged["failed"]), sum(map(len, judged.values()))),
    }
    return shares


def _right(rows: list[dict[str, Any]]) -> Share:
    return share([is_right(scene_of(row), row["instruction"], row["response"]) for row in rows])


def _true(scene: Scene, text: str) -> bool:
    """Whether a caption states something, and nothing false."""
    stated = [sentence.true for sentence in read_caption(scene, text) if sentence.true is not None]
    return bool(stated) and all(stated)


def main() -> None:
    """Run, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400, help="pictures to run on")
    parser.add_argument("--seed", default="quality", help="which fresh pictures")
    parser.add_argument("--out", type=Path, help="the result file (default: benchmarks/results/quality-DATE.json)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_shards(folder / "shards", asked.seed, asked.rows, {})
        judged, free = (run(job(folder, name, changes)) for name, changes in RUNS.items())
    shares = measure(judged, free)
    table = Table("share", "value", "95% interval", "count", title=f"Quality on {asked.rows} fresh scenes")
    for name, one in shares.items():
        low, high = one.interval
        value = "-" if one.value is None else f"{one.value:.3f}"
        table.add_row(name, value, f"{low:.3f} to {high:.3f}", f"{one.part} of {one.whole}")
    Console().print(table)
    result = {name: one.value for name, one in shares.items()} | {
        "counts": {name: [one.part, one.whole] for name, one in shares.items()},
        "intervals": {name: one.interval for name, one in shares.items()},
        "rows": asked.rows,
    }
    command = f"python -m benchmarks.quality --rows {asked.rows} --seed {asked.seed}"
    write_result("quality", result, command, asked.seed, asked.out)


if __name__ == "__main__":
    main()
