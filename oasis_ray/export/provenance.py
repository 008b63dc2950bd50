"""Provenance of an export: `export.json`, from which it can be reproduced, and the summary for the terminal.

`export.json` records no time, place or speed: the same rows with the same options give the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from oasis_ray.export.options import Options
from oasis_ray.export.run_names import run_names
from oasis_ray.export.selection import Selection
from oasis_ray.output.ledger import counts_of
from oasis_ray.output.manifest import read_manifest, summary
from oasis_ray.output.outcomes import outcomes_of
from oasis_ray.storage import locate

PACKAGES = ("oasis_ray", "pyarrow", "datasets", "langdetect")


@dataclass(frozen=True)
class Exported:
    """A finished export: rows by split and outcome, rows left out by reason, files and bytes by kind of file."""

    folder: Path
    splits: dict[str, dict[str, int]]
    left_out: dict[str, int]
    notes: list[str]
    files: dict[str, tuple[int, int]]
    seconds: float

    @property
    def rows(self) -> int:
        """The number of rows in all splits."""
        return sum(sum(kinds.values()) for kinds in self.splits.values())


def describe(folders: list[str], selection: Selection, options: Options) -> dict[str, Any]:
    """Return the content of `export.json`."""
    runs = []
    for name, folder in zip(run_names(folders), folders, strict=True):
        manifest = read_manifest(folder)
        if "rows" not in manifest:  # the run has not ended
            manifest |= summary(counts_of(folder), outcomes_of(manifest))
        fs, base = locate(folder)
        digest = sha256(fs.cat_file(f"{base.rstrip('/')}/run.json")).hexdigest()
        runs.append(
            {
                "name": name, "digest": digest, "state": manifest["state"], "recipe": manifest["recipe"],
                "about": manifest.get("about", ""), "cite": manifest.get("cite", ""),
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
        "data_sources": selection.data_sources,
        "splits": splits(selection, options),
        "left_out": selection.left_out,
        "notes": selection.notes
        + [
            f"run {run['name']} has not finished ({run['state']}); the rows that it has so far were exported"
            for run in runs
            if run["state"] != "done"
        ],
        "versions": {name: version(name) for name in PACKAGES},
    }


def distinct(manifest: Mapping[str, Any], key: str) -> list[str]:
    """Return the different values that the runs of an `export.json` have for a key, without empty ones."""
    return list(dict.fromkeys(run[key] for run in manifest["runs"] if run[key]))


def rows_have(count: int) -> str:
    """Return "1 row has" or "N rows have"."""
    return "1 row has" if count == 1 else f"{count} rows have"


def splits(selection: Selection, options: Options) -> dict[str, dict[str, int]]:
    """Return the numbers of rows by split and outcome, with the splits in the order of the options."""
    groups = selection.rows.group_by(["split", "outcome"]).aggregate([("id", "count")]).to_pylist()
    counts = {(group["split"], group["outcome"]): group["id_count"] for group in groups}
    return {
        split: {outcome: counts.get((split, outcome), 0) for outcome in selection.outcomes} for split in options.splits
    }


def _shown(model: str) -> str:
    """Return a model's name; of a local folder only its last component, because exports are published."""
    return model.rstrip("/").rpartition("/")[2] if model.startswith(("/", "~", ".", "$")) else model
