"""Status of pools: how many engines run, start or wait, and why one does not start."""

import re
from collections.abc import Mapping

from ray import serve

from oasis_ray.cluster.autoscaler import Verdict, verdict
from oasis_ray.job.pool import Pool
from oasis_ray.pool.handle import PoolHandle
from oasis_ray.pool.reaper import PREFIX
from oasis_ray.pool.replica_groups import ReplicaGroup, replica_groups

# Our state of a replica by Serve's; all others of Serve's states are stages of starting.
STATES = {"RUNNING": "running", "PENDING_MIGRATION": "running", "STOPPING": "stopping"}


def state_of(app: str) -> str:
    """Return Serve's status of an application."""
    application = serve.status().applications.get(app)
    return str(application.status.value) if application else "NOT_STARTED"


def impossible(handles: Mapping[str, PoolHandle], report: Verdict | None) -> str:
    """Return which pools have no engine and wait for a node that this cluster can't start; "" if there are none."""
    blocked = {app: name for app, name in apps_of(handles).items() if report and report.impossible.get(app)}
    applications = serve.status().applications if blocked else {}
    texts = []
    for application, name in blocked.items():
        app = applications.get(application)
        running = [d.replica_states.get("RUNNING", 0) for d in app.deployments.values()] if app else []
        if not any(running):
            texts.append(f"pool '{name}': no node type of this cluster can hold its engine, or all are at max_workers")
    return "\n".join(texts)


def states(handles: Mapping[str, PoolHandle]) -> str:
    """Return the state of each pool as text: engines by state, Serve's message if any, and the autoscaler's report."""
    texts = []
    applications = serve.status().applications
    for application, name in apps_of(handles).items():
        app = applications.get(application)
        for deployment in app.deployments.values() if app else ():
            engines = ", ".join(f"{n} {str(state).lower()}" for state, n in deployment.replica_states.items())
            message = f" ({deployment.message.strip().splitlines()[-1]})" if deployment.message.strip() else ""
            texts.append(f"pool '{name}': {engines or 'no engine'}{message}")
    if (scaling := verdict()) is not None:
        texts.append(str(scaling))
    return "; ".join(texts)


def engine_counts(run: str, pools: Mapping[str, Pool]) -> list[tuple[ReplicaGroup, dict[str, int]]]:
    """Return for each replica group how many engines are starting, running and stopping."""
    applications = serve.status().applications
    result = []
    for group in replica_groups(pools):
        app, engines = applications.get(app_of(run, group)), dict.fromkeys(("starting", "running", "stopping"), 0)
        for deployment in app.deployments.values() if app else ():
            for state, count in deployment.replica_states.items():
                engines[STATES.get(state, "starting")] += count
        result.append((group, engines))
    return result


def apps_of(handles: Mapping[str, PoolHandle]) -> dict[str, str]:
    """Return the pool of each application."""
    return {app: name for name, handle in handles.items() for app in handle.apps}


def app_of(run: str, group: ReplicaGroup) -> str:
    """Return the name of a replica group's Serve application."""
    name = f"{PREFIX}shared-{group.config.shared}" if group.config.shared else f"{run}-{group.pool}"
    return f"{name}-{group.config.gpu_type}" if group.config.gpu_type else name


def cause_of(handles: Mapping[str, PoolHandle], error: RuntimeError) -> str:
    """Return why pools did not start, from Serve's messages; the text of `error` if these name no exception."""
    texts = []
    for application, name in apps_of(handles).items():
        app = serve.status().applications.get(application)
        for deployment in app.deployments.values() if app else ():
            if cause := cause_in(deployment.message):
                texts.append(f"pool '{name}': {cause}")
    return "; ".join(texts) or str(error)


def cause_in(message: str) -> str:
    """Return the last exception in a deployment's message and up to two lines that follow it; "" if there is none."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    exceptions = [i for i, line in enumerate(lines) if re.match(r"[\w.]*(Error|Exception)\b", line)]
    if not exceptions:
        return ""
    return re.sub(r"^oasis_ray\.errors\.(RunError: )?", "", " ".join(lines[exceptions[-1] : exceptions[-1] + 3]))
