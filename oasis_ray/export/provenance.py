"""What an export was made from and holds: `export.json`, by which it can be made again, and what the terminal tells.

Nothing in it tells when, where or how fast it was made: the same rows with the same options make the same bytes.
"""

from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from oasis_ray.export.options import Options
from oasis_ray.export.selection import Selection
from oasis_ray.input.ids import numbered
from oasis_ray.output.ledger import counts_of
from oasis_ray.output.manifest import read_manifest, summary
from oasis_ray.storage import expand, locate

PACKAGES = ("oasis_ray", "pyarrow", "datasets", "langdetect")


@dataclass(frozen=True)
class Exported:
    """An export that stands: rows by split and outcome, what was left out and why, files and bytes by kind of file."""

    folder: Path
    splits: dict[str, dict[str, int]]
    left_out: dict[str, int]
    notes: list[str]
    files: dict[str, tuple[int, int]]
    seconds: float

    @property
    def rows(self) -> int:
        """All rows of all splits."""
        return sum(sum(kinds.values()) for kinds in self.splits.values())


def run_names(folders: list[str]) -> list[str]:
    """A run's name is its folder's; where two have the same, the second is `name#2`."""
    names = [expand(folder).rstrip("/").rpartition("/")[2] for folder in folders]
    again = {name: 0 for name, count in Counter(names).items() if count > 1}
    return [numbered(name, again, set(names)) for name in names]


def describe(folders: list[str], selection: Selection, options: Options) -> dict[str, Any]:
    """What `export.json` says."""
    runs = []
    for name, folder in zip(run_names(folders), folders, strict=True):
        manifest = read_manifest(folder)
        if "rows" not in manifest:  # the run has not ended
            manifest |= summary(counts_of(folder))
        fs, base = locate(folder)
        digest = sha256(fs.cat_file(f"{base.rstrip('/')}/run.json")).hexdigest()
        runs.append(
            {
                "name": name, "digest": digest, "state": manifest["state"], "recipe": manifest["recipe"],
                "seed": manifest["seed"], "input_rows": manifest["input"]["rows"], "rows": manifest["rows"],
                "reasons": manifest["reasons"], "versions": manifest["versions"],
                "nodes": [{key: node[key] for key in ("name", "pool", "digest")} for node in manifest["nodes"]],
                "prompts": sorted(manifest["prompts"]),
                "models": {pool: {"model": _shown(model["model"]), "digest": model["digest"]}
                           for pool, model in manifest["pools"].items()},
                "made_otherwise_before": len(manifest["earlier"]),
            }
        )  # fmt: skip
    return {
        "runs": runs,
        "options": options.written(),
        "splits": splits(selection, options),
        "left_out": selection.left_out,
        "notes": selection.notes
        + [
            f"the run {run['name']} has not ended ({run['state']}); what is there so far was exported"
            for run in runs
            if run["state"] != "done"
        ],
        "versions": {name: version(name) for name in PACKAGES},
    }


def splits(selection: Selection, options: Options) -> dict[str, dict[str, int]]:
    """Rows by split and outcome, in the order that the options name the splits."""
    groups = selection.rows.group_by(["split", "outcome"]).aggregate([("id", "count")]).to_pylist()
    counts = {(group["split"], group["outcome"]): group["id_count"] for group in groups}
    return {
        split: {outcome: counts.get((split, outcome), 0) for outcome in ("accepted", "captions")}
        for split in options.splits
    }


def _shown(model: str) -> str:
    """A model's name: of one in a folder of this machine the folder's own name, since its path is nobody's business."""
    return model.rstrip("/").rpartition("/")[2] if model.startswith(("/", "~", ".", "$")) else model
