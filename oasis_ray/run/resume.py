"""What a run finds in its folder when it starts: nothing, a part of itself, or a part of a run with another recipe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc

from oasis_ray.errors import JobError
from oasis_ray.input.ids import some
from oasis_ray.input.listing import lists
from oasis_ray.input.shards import Shards, open_shards
from oasis_ray.job.job import Job
from oasis_ray.output.checkpoint import clear, under_way, waits
from oasis_ray.output.ledger import ended_ids, reopen_failed
from oasis_ray.output.manifest import naming_of, now, read_manifest
from oasis_ray.output.manifest_diff import changes
from oasis_ray.output.removed import REMOVED, put_back, remove
from oasis_ray.output.repair import repair
from oasis_ray.storage import check_target, locate


@dataclass(frozen=True)
class OpenedRun:
    """The manifest that the session continues, the rows that are left to do, how many had ended before, and notes for
    the user on what was repaired or changed.
    """

    manifest: dict[str, Any]
    todo: Shards
    before: int = 0
    notes: list[str] = field(default_factory=list)


def open_input(job: Job, manifest: Mapping[str, Any]) -> Shards:
    """The rows of a job's input, under the ids that the run's `manifest` gives them (empty: a new run).

    Raises JobError with what is wrong with the input, or where the run's own parts would be among it.
    """
    check_target("output.path", job.output.path)
    if lists(job.input.path, job.output.path):
        where = f"output.path: {job.output.path} lies where input.path ({job.input.path}) lists its files"
        raise JobError([f"{where}, so the run's own parts would be read as input; give it a folder outside"])
    return open_shards(job.input, naming_of(manifest) if manifest else "path")


def recorded(folder: str) -> dict[str, Any]:
    """The manifest of earlier sessions in this folder; empty where there were none."""
    fs, base = locate(folder)
    return read_manifest(folder) if fs.exists(f"{base.rstrip('/')}/run.json") else {}


def open_folder(
    folder: str, shards: Shards, fresh: dict[str, Any], *, retry: str | None = None, accept_changes: bool = False
) -> OpenedRun:
    """Repair what a killed session left in `folder`, and find what is left of `shards` to do.

    `fresh` is the manifest of the run as it would start now. `retry` names failed rows to do again: a reason, or "" for
    all. Raises JobError where the folder holds rows of a run that differs, unless `accept_changes`.
    """
    ended, notes = repair(folder)
    begun = bool(waits(folder))
    if not len(ended) and not begun:
        return OpenedRun(fresh, shards, notes=notes)
    manifest = read_manifest(folder)
    changed = changes(manifest, fresh)
    given = shards.ids_todo
    gone = ended.filter(pc.invert(pc.is_in(ended, value_set=pc.unique(given))))
    if len(gone):
        changed.append(f"{len(gone)} rows that ended are no longer in the input: {some(sorted(set(gone.to_pylist())))}")
    if changed and not accept_changes:
        refused = [f"{folder} holds a run of another make: {change}" for change in changed]
        advice = "give this run its own folder (--set output.path=…), remove this one, or go on as it is now"
        raise JobError([*refused, f"{advice} (--accept-changes)"])
    if changed:
        nodes = [{"name": node["name"], "digest": node["digest"]} for node in manifest["nodes"]]
        earlier = {"until": now(), "changes": changed, "nodes": nodes}
        manifest = fresh | {"sessions": manifest["sessions"], "earlier": [*manifest["earlier"], earlier]}
        notes.append(f"going on although {len(changed)} things changed, as run.json says under `earlier`")
    if begun and (changed or [n["name"] for n in manifest["nodes"]] != [n["name"] for n in fresh["nodes"]]):
        clear(folder)
        notes.append("rows that waited between two phases begin again, as they are made now")
    if len(gone):
        remove(folder, gone)
        notes.append(f"{len(gone)} rows that ended are no longer in the input; they are kept in {REMOVED}/")
    if back := put_back(folder, given, ended):
        notes.append(f"{back} rows are in the input again; they were put back from {REMOVED}/")
    if len(gone) or back:
        ended = ended_ids(folder)
    if (new := shards.rows - manifest["input"]["rows"]) > 0:
        notes.append(f"{new} rows of the input are new")
    manifest = {**manifest, "input": fresh["input"]}
    if retry is not None:
        count = reopen_failed(folder, retry or None)
        notes.append(f"{count} failed rows are tried again")
        ended = ended_ids(folder)
    more = under_way(folder, ended)
    wait = f", {more} more wait for a later phase" if more else ""
    notes.append(f"going on: {len(ended)} of {shards.rows} rows had ended before{wait}")
    todo = shards.without(ended) if len(ended) else shards
    return OpenedRun({**manifest, "state": "running"}, todo, len(ended), notes)
