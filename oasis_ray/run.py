"""One run of a job: open or take up its folder, start the pools, stream the rows, close the books."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import ray

from oasis_ray import cluster
from oasis_ray.errors import JobError, OasisError, RunError
from oasis_ray.graph import LIGHT_CPUS, build
from oasis_ray.job import Job
from oasis_ray.ledger import ended_ids, sweep
from oasis_ray.manifest import describe, node_digests, now, read_manifest, summary, write_manifest
from oasis_ray.pool import start_pools, stop_pools
from oasis_ray.recipe import Recipe
from oasis_ray.sink import PartSink
from oasis_ray.source import Shards, open_shards
from oasis_ray.tally import Tally, TallyActor, of_run


@dataclass
class Run:
    """A run as the terminal watches it: `step` since `since`, and while rows travel the tally of `actor`."""

    job: Job
    recipe: Recipe
    step: str = "reading the input"
    rows: int = 0
    before: int = 0
    since: float = field(default_factory=time.monotonic)
    travelling: float | None = None
    actor: Any = None
    notes: list[str] = field(default_factory=list)

    @property
    def folder(self) -> str:
        """The run folder."""
        return self.job.output.path.rstrip("/")

    def tally(self) -> Tally:
        """What this session has done so far."""
        if self.actor is None:
            return Tally()
        result: Tally = ray.get(self.actor.read.remote())
        return result

    def execute(self, on_step: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
        """Run the job to its end; the manifest of what was done.

        A folder that holds a part of this same run is taken up where it stands. Raises JobError, FitError or RunError.
        """

        def step(text: str) -> None:
            self.step, self.since = text, time.monotonic()
            on_step(text)

        step("reading the input")
        shards = open_shards(self.job.input)
        digests = node_digests(self.job, self.recipe)
        self.rows = shards.rows
        manifest, todo = self._open(shards, digests)
        session = {"started": now(), "rows": self.before}
        if todo.groups:
            step("joining the cluster")
            cluster.join()
            have = cluster.nodes()
            gpus = cluster.on_gpus(self.job.pools, have)
            cluster.fit(cluster.needs(self.job.pools, gpus), have)
            write_manifest(self.folder, manifest)
            step("starting the engines")
            loading = time.monotonic()
            pools = start_pools(self.job.pools, f"oasis-{uuid4().hex[:8]}", gpus=gpus)
            session["seconds_loading"] = round(time.monotonic() - loading, 1)
            try:
                step("working")
                self._stream(todo, pools, digests)
                session["seconds"] = round(time.monotonic() - (self.travelling or self.since), 1)
            except BaseException:
                write_manifest(self.folder, manifest | {"state": "stopped"})
                raise
            finally:
                step("stopping the engines")
                stop_pools(pools)
        step("closing the books")
        session["ended"] = now()
        tally = of_run(self.folder)
        session["rows"] = tally.rows - self.before
        manifest["sessions"].append(session)
        manifest |= {"state": "done" if tally.rows == self.rows else "incomplete", **summary(tally)}
        write_manifest(self.folder, manifest)
        return manifest

    def _open(self, shards: Shards, digests: dict[str, str]) -> tuple[dict[str, Any], Shards]:
        fresh = describe(self.job, self.recipe, digests, shards.rows)
        for file in sweep(self.folder):
            self.notes.append(f"removed an unfinished part of an earlier session: {file}")
        ended = ended_ids(self.folder)
        if not len(ended):
            return fresh, shards
        manifest = read_manifest(self.folder)
        changed = differences(manifest, fresh)
        if changed:
            raise JobError(
                [f"{self.folder} holds a run of another make: {change}" for change in changed]
                + ["give this run its own folder: --set output.path=…"]
            )
        self.before = len(ended)
        self.notes.append(f"going on: {self.before} of {shards.rows} rows had ended before")
        return {**manifest, "state": "running"}, shards.without(ended)

    def _stream(self, todo: Shards, pools: Any, digests: dict[str, str]) -> None:
        self.actor = TallyActor.remote()  # type: ignore[attr-defined]  # Ray ships no types
        self.travelling = time.monotonic()
        output = self.job.output
        rows = build(todo, self.job, self.recipe, pools, digests, self.actor)
        sink = PartSink(
            self.folder,
            self.recipe,
            session=uuid4().hex[:8],
            rows_per_part=output.rows_per_part,
            rows_per_task=self.job.rows_per_task,
        )
        try:
            rows.write_datasink(sink, ray_remote_args={"num_cpus": LIGHT_CPUS})
        except OasisError:
            raise
        except Exception as error:
            raise RunError(f"the run stopped: {_root(error)}") from error


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What makes two manifests different runs: nodes, models, seed, input."""
    before, after = ({node["name"]: node for node in manifest["nodes"]} for manifest in (old, new))
    changes = [f"node '{name}' is new" for name in after if name not in before]
    changes += [f"node '{name}' is gone" for name in before if name not in after]
    for name in after:
        if name in before and before[name]["digest"] != after[name]["digest"]:
            keys = [k for k in ("stage", "with") if before[name][k] != after[name][k]]
            what = f"{', '.join(keys)} of node" if keys else "the model or the inputs of node"
            changes.append(f"{what} '{name}' changed")
    for key in ("seed", "recipe"):
        if old[key] != new[key]:
            changes.append(f"{key} was {old[key]!r} and is {new[key]!r}")
    if old["input"] != new["input"]:
        changes.append(f"input was {old['input']} and is {new['input']}")
    return changes


def _root(error: BaseException) -> str:
    """The first cause of a failure, in a line: Ray hands it on as the text of a trace inside its own errors."""
    ours = re.findall(r"^oasis_ray\.errors\.\w+: (.+)$", str(error), re.MULTILINE)
    if ours:
        return str(ours[0])
    cause = getattr(error, "cause", None) or error.__cause__
    if cause is not None and cause is not error:
        return _root(cause)
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
