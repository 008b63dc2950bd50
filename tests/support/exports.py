"""Rows for exports, a recipe whose records have names of their own, and what an export of runs has."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from oasis_ray.cli import SHIPPED
from oasis_ray.export.export import export
from oasis_ray.export.options import read_options
from oasis_ray.export.provenance import Exported
from oasis_ray.recipe.row import Row
from tests.support.ended_rows import row
from tests.support.shards import picture

IMAGES = [picture(colour) for colour in ("red", "blue", "teal", "tan", "pink", "gold")]


def accepted(count: int, **given: Any) -> list[Row]:
    """Accepted rows a0, a1, …"""
    return [row(f"a{n}", f"Question {n}?", "Yes.", IMAGES[n % 6], **given) for n in range(count)]


def captions(count: int) -> list[Row]:
    """Captions c0, c1, …"""
    return [row(f"c{n}", "Describe it.", f"Field {n}.", IMAGES[n % 6], said="en") for n in range(count)]


def views(count: int) -> list[Row]:
    """Rows v0, v1, … that become a record of the recipe `scenes`."""
    return [replace(one, id=f"v{n}", route="aside") for n, one in enumerate(captions(count))]


def write_scenes(folder: Path, **keys: Any) -> Path:
    """A recipe file with `keys` laid over it, the nodes of `oasis` under other names: route `aside`, record `views`."""
    recipe = yaml.safe_load((SHIPPED.recipes / "oasis.yaml").read_text(encoding="utf-8"))
    for node in recipe["nodes"]:
        node |= {"route": "aside"} if node.get("route") == "caption" else {}
        node |= {"exits": {"caption": "aside"}} if node["name"] == "categorize" else {}
    view = recipe["records"].pop("captions") | {"route": "aside", "data_source": "scene"}
    recipe["records"]["views"] = view
    path = folder / "scenes.yaml"
    path.write_text(yaml.safe_dump(recipe | {"name": "scenes", "about": "", "cite": ""} | keys), encoding="utf-8")
    return path


def exported(run: Path | list[Path], form: str = "llava", **options: Any) -> tuple[list[str], Exported]:
    """Return the ids of an export in order, in the format `llava`, and its summary."""
    runs = run if isinstance(run, list) else [run]
    out = runs[0].parent / f"out{len(list(runs[0].parent.iterdir()))}"
    summary = export([str(folder) for folder in runs], str(out), read_options(form, **options))
    files = [out / f"{name}.json" for name in summary.splits if form == "llava"]
    return [sample["id"] for file in files for sample in json.loads(file.read_text())], summary
