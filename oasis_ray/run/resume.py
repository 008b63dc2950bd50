"""Resume: what a run finds in its folder when it starts, and which rows are left to do.

The folder holds nothing, a part of this run, or a part of a run with a different recipe, models or input.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc

from oasis_ray.engine.model_files import pin_revisions
from oasis_ray.errors import JobError, counted
from oasis_ray.input.ids import some
from oasis_ray.input.listing import lists
from oasis_ray.input.shards import Shards, open_shards
from oasis_ray.job.job import Job
from oasis_ray.output.checkpoint import clear, count_waiting, waiting_folders
from oasis_ray.output.ledger import ended_ids, reopen_failed
from oasis_ray.output.manifest import describe, naming_of, node_digests, now, read_manifest
from oasis_ray.output.manifest_diff import changes
from oasis_ray.output.outcomes import outcomes_of, records_of
from oasis_ray.output.removed_rows import REMOVED, put_back, remove
from oasis_ray.output.repair import repair
from oasis_ray.recipe.recipe import Recipe
from oasis_ray.storage import check_target, locate, store_errors


@dataclass(frozen=True)
class OpenedRun:
    """A run folder that is ready for a session.

    job: with the revisions of its models pinned. manifest: the one that the session continues. rows: of the input.
    todo: the rows that are left to do. before: how many rows ended in earlier sessions. notes: for the user, on what
    was repaired or changed.
    """

    job: Job
    manifest: dict[str, Any]
    rows: int
    todo: Shards
    before: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each node, as the manifest names it: on resuming, that of the version that began the run."""
        return {node["name"]: node["digest"] for node in self.manifest["nodes"]}


def open_run(job: Job, recipe: Recipe, *, retry: str | None = None, accept_changes: bool = False) -> OpenedRun:
    """Read the input, pin the models, and repair the run folder. Raises JobError; see `open_folder` for the options."""
    folder = job.output.folder
    with store_errors("output.path", folder, JobError):
        earlier = recorded(folder)
    shards = open_input(job, recipe, earlier)
    with store_errors("output.path", folder, JobError):
        pinned = job.model_copy(update={"pools": pin_revisions(job.pools, earlier)})
        listing = shards.listing
        fresh = describe(
            job, recipe, node_digests(pinned, recipe), shards.rows, pinned.pools,
            naming=listing.naming, from_run=listing.run,
        )  # fmt: skip
        return open_folder(pinned, shards, fresh, retry=retry, accept_changes=accept_changes)


def open_input(job: Job, recipe: Recipe, manifest: Mapping[str, Any]) -> Shards:
    """Return the rows of a job's input, with the ids that the run's `manifest` gives them (empty: a new run).

    Raises JobError where the input is wrong, or where it would contain the run's own parts.
    """
    check_target("output.path", job.output.path)
    if job.input.path and lists(job.input.path, job.output.path):
        where = f"output.path: {job.output.path} is inside the folders that input.path ({job.input.path}) reads"
        raise JobError([f"{where}, so the run would read its own output; choose a folder outside them"])
    shards = open_shards(job.input, naming_of(manifest) if manifest else "path", recipe.source)
    clashes = {
        f"input.keep: record '{name}' has a column '{column}' too; leave it out of `keep`, or rename it in the recipe"
        for name, record in recipe.records.items()
        for column in record.columns
        if column in shards.kept
    }
    if clashes:
        raise JobError(sorted(clashes))
    return shards


def recorded(folder: str) -> dict[str, Any]:
    """Return the manifest of earlier sessions in this folder; empty where there were none."""
    fs, base = locate(folder)
    return read_manifest(folder) if fs.exists(f"{base.rstrip('/')}/run.json") else {}


def open_folder(
    job: Job, shards: Shards, fresh: dict[str, Any], *, retry: str | None = None, accept_changes: bool = False
) -> OpenedRun:
    """Repair what a killed session left in the run folder, and find the rows of `shards` that are left to do.

    `fresh` is the manifest of the run as it would start now. `retry` names failed rows to retry: a reason, or "" for
    all. Raises JobError where the folder holds rows of a run that differs, unless `accept_changes`.
    """
    folder = job.output.folder
    notes = [f"input.path: passed over {shards.listing}"] if shards.listing.passed_over else []
    outcomes = outcomes_of(recorded(folder) or fresh)
    ended, repaired = repair(folder, outcomes)
    notes += repaired
    begun = bool(waiting_folders(folder))
    if not len(ended) and not begun:
        return OpenedRun(job, fresh, shards.rows, shards, notes=notes)
    manifest = read_manifest(folder)
    changed = changes(manifest, fresh)
    given = shards.ids_todo
    gone = ended.filter(pc.invert(pc.is_in(ended, value_set=pc.unique(given))))
    if len(gone):
        changed.append(f"{len(gone)} rows that ended are no longer in the input: {some(sorted(set(gone.to_pylist())))}")
    if changed and not accept_changes:
        refused = [f"{folder} holds a run that differs from this job: {change}" for change in changed]
        advice = "give this run its own folder (--set output.path=…), remove this one, or resume it with the changes"
        raise JobError([*refused, f"{advice} (--accept-changes)"])
    if changed:
        nodes = [{"name": node["name"], "digest": node["digest"]} for node in manifest["nodes"]]
        records = {name: {"route": route} for name, route in records_of(manifest).items()}
        earlier = {"until": now(), "changes": changed, "nodes": nodes, "records": records}
        manifest = fresh | {"sessions": manifest["sessions"], "earlier": [*manifest["earlier"], earlier]}
        notes.append(f"resuming with {counted(len(changed), 'change')}; run.json lists them under `earlier`")
    if begun and (changed or [n["name"] for n in manifest["nodes"]] != [n["name"] for n in fresh["nodes"]]):
        clear(folder)
        notes.append("rows that waited between two phases begin again with the present nodes")
    if len(gone):
        remove(folder, gone)
        notes.append(f"{len(gone)} rows that ended are no longer in the input; they are kept in {REMOVED}/")
    if back := put_back(folder, given, ended):
        notes.append(f"{back} rows are in the input again and were restored from {REMOVED}/")
    if len(gone) or back:
        ended = ended_ids(folder)
    if (new := shards.rows - manifest["input"]["rows"]) > 0:
        notes.append(f"{new} new rows in the input")
    manifest = {**manifest, "input": fresh["input"]}
    if retry is not None:
        count = reopen_failed(folder, retry or None)
        notes.append("1 failed row is retried" if count == 1 else f"{count} failed rows are retried")
        ended = ended_ids(folder)
    more = count_waiting(folder, ended)
    wait = f", {more} more wait for a later phase" if more else ""
    notes.append(f"resuming: {len(ended)} of {shards.rows} rows had ended before{wait}")
    todo = shards.without(ended) if len(ended) else shards
    if not todo.rows:
        notes.append("nothing is left to do; for a new run remove this folder, or name another one (output.path)")
    return OpenedRun(job, {**manifest, "state": "running"}, shards.rows, todo, len(ended), notes)
