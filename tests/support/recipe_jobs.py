"""The recipes' jobs for clusters, over scripted engines and a few rows."""

from pathlib import Path
from typing import Any

import yaml

from tests.support.checkout import ROOT
from tests.support.recipe_rows import ROWS, recipe_shard

JOBS = ROOT / "cluster/jobs/recipes"
RECIPES = sorted(path.stem for path in JOBS.glob("*.yaml"))
# Recipes with the same requests have the same script.
SCRIPT_OF = {
    "genixer_medium": "genixer",
    "match_score_as_coded": "match_score",
    "vl_thinking_captioned": "vl_thinking",
}


def write_recipe_job(
    folder: Path, recipe: str, *, copies: int = 1, slow: bool = False, nodes: dict[str, Any] | None = None, **keys: Any
) -> Path:
    """A recipe's job in a folder, and its shard with so many copies of each row; keys given are laid over it.

    `slow`: each request takes a tenth of a second.
    """
    document = yaml.safe_load((JOBS / f"{recipe}.yaml").read_text(encoding="utf-8"))
    script = f"tests.support.recipe_scripts:{'slow_' * slow}{SCRIPT_OF.get(recipe, recipe)}"
    pool = {"backend": "scripted", "model": "script", "script": script, "device": "cpu"}
    rows = {"rows": len(ROWS[recipe])} if recipe == "magpie" else {"path": str(folder / "shards"), "id": "id"}
    document |= {
        "input": rows,
        "output": {"path": str(folder / "run")},
        "pools": dict.fromkeys(document["pools"], pool),
        "nodes": document.get("nodes", {}) | (nodes or {}),
        "max_failed": 1.0,
        "score_in_full": 0.0,
        "executor": "local",
    } | keys
    if recipe != "magpie":
        recipe_shard(folder / "shards/a.parquet", recipe, copies)
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(document))
    return path
