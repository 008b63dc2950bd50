"""The status of pools: how many engines run, start or wait, and why one does not start."""

import re
from collections.abc import Mapping

from ray import serve

from oasis_ray.cluster.autoscaler import Verdict, verdict
from oasis_ray.job.pool import Pool
from oasis_ray.pool.handle import PoolHandle
from oasis_ray.pool.lease import PREFIX
from oasis_ray.pool.replica_groups import ReplicaGroup, replica_groups

STATES = {"RUNNING": "running", "PENDING_MIGRATION": "running", "STOPPING": "stopping"}  # Serve has more for starting


def state_of(app: str) -> str:
    """The status of a Serve application, in Serve's words."""
    found = serve.status().applications.get(app)
    return str(found.status.value) if found else "NOT_STARTED"


def impossible(handles: Mapping[str, PoolHandle], said: Verdict | None) -> str:
    """Which pools have no engine and wait for a node that this cluster can't start; nothing where there are none."""
    lost = {app: name for app, name in apps_of(handles).items() if said and said.impossible.get(app)}
    applications = serve.status().applications if lost else {}
    told = []
    for application, name in lost.items():
        app = applications.get(application)
        running = [d.replica_states.get("RUNNING", 0) for d in app.deployments.values()] if app else []
        if not any(running):
            told.append(f"pool '{name}': no node type of this cluster can hold its engine, or all are at max_workers")
    return "\n".join(told)


def states(handles: Mapping[str, PoolHandle]) -> str:
    """How each pool stands, in plain words: engines by state, and what Serve says where it is not well."""
    told = []
    applications = serve.status().applications
    for application, name in apps_of(handles).items():
        app = applications.get(application)
        for deployment in app.deployments.values() if app else ():
            engines = ", ".join(f"{n} {str(state).lower()}" for state, n in deployment.replica_states.items())
            said = f" ({deployment.message.strip().splitlines()[-1]})" if deployment.message.strip() else ""
            told.append(f"pool '{name}': {engines or 'no engine'}{said}")
    if (scaling := verdict()) is not None:
        told.append(str(scaling))
    return "; ".join(told)


def standing(run: str, pools: Mapping[str, Pool]) -> list[tuple[ReplicaGroup, dict[str, int]]]:
    """For each kind of engine how many are starting, running and stopping."""
    applications = serve.status().applications
    found = []
    for kind in replica_groups(pools):
        app, engines = applications.get(app_of(run, kind)), dict.fromkeys(("starting", "running", "stopping"), 0)
        for deployment in app.deployments.values() if app else ():
            for state, count in deployment.replica_states.items():
                engines[STATES.get(state, "starting")] += count
        found.append((kind, engines))
    return found


def apps_of(handles: Mapping[str, PoolHandle]) -> dict[str, str]:
    """The pool of each application."""
    return {app: name for name, handle in handles.items() for app in handle.apps}


def app_of(run: str, kind: ReplicaGroup) -> str:
    """The name of the Serve application for one type of GPU of a pool."""
    name = f"{PREFIX}shared-{kind.config.shared}" if kind.config.shared else f"{run}-{kind.pool}"
    return f"{name}-{kind.config.gpu_type}" if kind.config.gpu_type else name


def cause_of(handles: Mapping[str, PoolHandle], error: RuntimeError) -> str:
    """What Serve knows of the failure: the last exception of each failed trace, with the lines that explain it."""
    told = []
    for application, name in apps_of(handles).items():
        app = serve.status().applications.get(application)
        for deployment in app.deployments.values() if app else ():
            lines = [line.strip() for line in deployment.message.splitlines() if line.strip()]
            named = [i for i, line in enumerate(lines) if re.match(r"[\w.]*(Error|Exception)\b", line)]
            if named:
                cause = " ".join(lines[named[-1] : named[-1] + 3]).removeprefix("oasis_ray.errors.RunError: ")
                told.append(f"pool '{name}': {cause}")
    return "; ".join(told) or str(error)
